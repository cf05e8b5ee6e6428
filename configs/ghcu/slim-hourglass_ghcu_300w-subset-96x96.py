# Needs the detector's checkpoint: --cfg-options load_from=CHECKPOINT
_base_ = [
    '../_base_/ghcu_68.py',
    '../semantic_alignment/slim-hourglass_plain_300w-subset-96x96.py',
]

model, train_cfg, optim_wrapper, param_scheduler = _base_.ghcu_stage
load, *steps, pack = _base_.train_pipeline
train_pipeline = [load, *_base_.degradation, *steps, dict(pack, pack_transformed=True)]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
