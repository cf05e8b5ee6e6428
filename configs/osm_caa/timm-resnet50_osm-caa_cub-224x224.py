_base_ = 'resnet50_osm-caa_cub-224x224.py'

# Any network of timm (pip install timm): num_features is the head's in_channels.
model = dict(
    image_encoder=[
        dict(type='TIMMBackbone', model_name='resnet50', pretrained=True),
        dict(type='GlobalAveragePooling'),
    ],
    head=dict(in_channels=2048))
