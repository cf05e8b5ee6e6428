_base_ = 'resnet50_osm-caa_cub-224x224.py'

model = dict(
    image_encoder=[
        dict(
            type='VisionTransformer',
            arch='base',
            img_size=224,
            patch_size=16,
            out_type='cls_token',
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.openmmlab.com/mmclassification/'
                'v0/vit/vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
                prefix='backbone')),
    ],
    head=dict(in_channels=768))
