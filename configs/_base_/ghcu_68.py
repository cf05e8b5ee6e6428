# The second stage, a GHCU trained on the frozen detector of a checkpoint, for the
# config that inherits this and a detector's:
#   model, train_cfg, optim_wrapper, param_scheduler = _base_.ghcu_stage
# and a training pipeline with the degradation after LoadImage, whose PackPoseInputs
# has pack_transformed=True.
ghcu_model = dict(
    type='FrozenDetectorEstimator',
    # Neighbouring landmarks are covered together.
    head=dict(refiner=dict(type='GHCU', neighbourhood=0.1)))
# Failed landmarks to learn from.
degradation = [
    dict(type='RandomFaceOcclusion', area=(0.05, 0.5), prob=0.6),
    dict(type='RandomLowQuality', prob=0.3),
]
ghcu_epochs = 40
ghcu_scheduler = [
    dict(type='LinearLR', begin=0, end=60, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=ghcu_epochs,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True),
]
ghcu_stage = (
    ghcu_model,
    dict(max_epochs=ghcu_epochs, val_interval=5),
    dict(optimizer=dict(lr=3e-3)),
    ghcu_scheduler,
)
