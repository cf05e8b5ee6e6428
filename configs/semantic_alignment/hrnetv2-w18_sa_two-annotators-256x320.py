# Two annotators of the same X-rays, on MMPose's own HRNet config: targets are made of
# what both say and of what the search finds. For your own data change
# _base_/cephalograms.py; without the hook, and annotation='random', it is plain training.
_base_ = [
    'mmpose::face_2d_keypoint/topdown_heatmap/300w/'
    'td-hm_hrnetv2-w18_8xb64-60e_300w-256x256.py',
    '../_base_/cephalograms.py',
]

custom_imports = dict(imports=['semamb_mm.pose'], allow_failed_imports=False)

# unbiased: a target's move below one cell is not rounded away.
codec = dict(
    type='MSRAHeatmap',
    input_size=(256, 320),
    heatmap_size=(64, 80),
    sigma=1.5,
    unbiased=True)
# An X-ray from the side has no mirrored landmarks: nothing is flipped.
model = dict(
    head=dict(type='SemanticAlignmentHead', out_channels=19, decoder=codec),
    test_cfg=dict(flip_test=False))
load, box, _, jitter, affine, target, pack = _base_.train_pipeline
affine = dict(affine, input_size=codec['input_size'])
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True,
        type='SeveralAnnotatorsDataset',
        source=_base_.xrays,
        annotators=dict(
            first=dict(ann_file='annotator_1.json'),
            second=dict(ann_file='annotator_2.json')),
        pipeline=[
            load, box,
            dict(jitter, rotate_factor=30), affine,
            dict(target, encoder=codec), pack
        ]))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        test_mode=True,
        ann_file='val.json',
        pipeline=[load, box, affine, pack],
        **_base_.xrays))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.sella_nasion)
test_evaluator = val_evaluator

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='LatentTargetHook', start=24, consensus=dict()),
]
