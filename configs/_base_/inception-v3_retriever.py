# num_classes, the training classes, is left to the config that inherits.
_base_ = 'resnet50_retriever.py'

model = dict(
    image_encoder=[
        dict(
            type='InceptionV3',
            # MMPretrain's InceptionV3 ends in a linear layer: the embedding's.
            # Of that layer alone the checkpoint's weights have another shape.
            num_classes=512,
            dropout=0.0,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/'
                'v0/inception-v3/inception-v3_3rdparty_8xb32_in1k_20220615-'
                'dcd4d910.pth',
                prefix='backbone')),
    ],
    head=dict(in_channels=512, embedding_channels=None))
