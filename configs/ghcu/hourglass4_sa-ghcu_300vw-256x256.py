# Needs the detector's checkpoint, of hourglass4_sa_300vw-256x256.py:
# --cfg-options load_from=CHECKPOINT
_base_ = [
    '../semantic_alignment/hourglass4_plain_300vw-256x256.py',
    '../_base_/ghcu_68.py',
]

model = _base_.ghcu_model
load, *steps, pack = _base_.train_pipeline
train_pipeline = [
    load, *_base_.degradation, *steps,
    dict(pack, pack_transformed=True)
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=_base_.ghcu_epochs, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = _base_.ghcu_scheduler
