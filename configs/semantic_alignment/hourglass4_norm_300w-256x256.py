# Half of the faces are cropped upright in training; in testing a first pass of the
# same network finds the rotation that the second one's crop undoes.
_base_ = 'hourglass4_plain_300w-256x256.py'

model = dict(type='RollNormalizedEstimator')
*before, affine, distort, target, pack = _base_.train_pipeline
train_pipeline = [
    *before,
    dict(type='NormalizeRoll'), affine, distort, target, pack
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
