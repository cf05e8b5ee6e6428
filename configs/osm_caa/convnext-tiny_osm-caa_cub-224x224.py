_base_ = 'resnet50_osm-caa_cub-224x224.py'

model = dict(
    # It averages over space itself.
    image_encoder=[
        dict(
            type='ConvNeXt',
            arch='tiny',
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/'
                'v0/convnext/convnext-tiny_32xb128_in1k_20221207-998cf3e9.pth',
                prefix='backbone')),
    ],
    head=dict(in_channels=768))
