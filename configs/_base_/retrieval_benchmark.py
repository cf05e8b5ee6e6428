# What the paper's four benchmarks have in common. Pipelines, schedule and metric are
# left to the config that inherits.
_base_ = 'retrieval_runtime.py'

train_dataloader = dict(
    # The paper's batch size; how it is made up is ours.
    batch_size=54,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(
        type='IdentityBalancedSampler',
        num_classes_per_batch=18,
        num_samples_per_class=3,
        seed=0),
    batch_sampler=dict(type='IdentityBalancedBatchSampler'),
    dataset=dict(split='train'))
val_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(split='test'))
test_dataloader = val_dataloader

val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', weight_decay=1e-4),
    # The embedding (fc in InceptionV3) and the class context start from nothing.
    paramwise_cfg=dict(
        custom_keys=dict(head=dict(lr_mult=10), fc=dict(lr_mult=10))))
param_scheduler = dict(
    type='CosineAnnealingLR',
    begin=0,
    eta_min_ratio=0.01,
    by_epoch=True,
    convert_to_iter_based=True)
