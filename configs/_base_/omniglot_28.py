# Zero-shot retrieval of hand-drawn characters; minutes on one CPU core.
_base_ = 'retrieval_runtime.py'

data_root = '{{$DATA_ROOT:data/omniglot}}'

model = dict(
    type='EmbeddingRetriever',
    data_preprocessor=dict(mean=[127.5], std=[127.5]),
    image_encoder=[
        dict(
            type='ResNet_CIFAR',
            depth=18,
            in_channels=1,
            stem_channels=8,
            base_channels=8,
            strides=(2, 2, 2, 2)),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(
        type='OSMCAAHead',
        num_classes=136,
        in_channels=64,
        embedding_channels=64,
        loss=dict(type='OSMCAALoss', osm=True, caa=True, temperature=0.1)))

load = [
    dict(type='LoadImageFromFile', color_type='grayscale'),
    dict(type='Resize', scale=28, interpolation='area'),
]
moves = dict(magnitude_level=10, magnitude_std='inf', prob=1.0, pad_val=255)
pack = dict(type='PackInputs')
# MMPretrain's inferencers read images themselves, in colour: one channel again.
grey = dict(type='RandomGrayscale', prob=1.0, channel_weights=(1, 2, 1))
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(
        type='IdentityBalancedSampler',
        num_classes_per_batch=32,
        num_samples_per_class=4,
        seed=0),
    batch_sampler=dict(type='IdentityBalancedBatchSampler'),
    dataset=dict(
        type='OmniglotRetrieval',
        data_root=data_root,
        split='train',
        pipeline=[
            *load,
            dict(type='Rotate', magnitude_range=(0, 15), **moves),
            dict(type='Shear', magnitude_range=(0, 0.2), **moves),
            dict(type='Translate', magnitude_range=(0, 0.1), **moves),
            pack,
        ]))
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='OmniglotRetrieval',
        data_root=data_root,
        split='test',
        pipeline=[*load, grey, pack]))
test_dataloader = val_dataloader
val_evaluator = dict(type='SelfRetrievalMetric', topk=(1, 2, 4, 8))
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=15, val_interval=3)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-2, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=15,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True),
]
