# num_classes, the training classes, is left to the config that inherits.
model = dict(
    type='EmbeddingRetriever',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    image_encoder=[
        dict(
            type='ResNet',
            depth=50,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/'
                'v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
                prefix='backbone')),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(
        type='OSMCAAHead',
        in_channels=2048,
        embedding_channels=512,
        loss=dict(type='OSMCAALoss', osm=True, caa=True)))
