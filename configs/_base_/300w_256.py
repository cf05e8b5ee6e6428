_base_ = ['hourglass4_256.py', '300w_official.py']

train_dataloader = dict(dataset=_base_.train_faces)
val_dataloader = dict(dataset=_base_.test_faces)
test_dataloader = dict(dataset=_base_.test_faces)
val_evaluator = _base_.common_and_challenge
test_evaluator = _base_.common_and_challenge

train_cfg = dict(max_epochs=60, val_interval=5)
param_scheduler = [
    _base_.warm_up,
    dict(type='MultiStepLR', milestones=[40, 55], gamma=0.1, by_epoch=True),
]
