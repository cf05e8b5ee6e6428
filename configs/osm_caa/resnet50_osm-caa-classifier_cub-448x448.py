# MMPretrain's classifier of CUB's 200 species, its head replaced: the embedding is
# trained beside the classification, which is what is tested.
_base_ = 'mmpretrain::resnet/resnet50_8xb8_cub.py'

custom_imports = dict(imports=['semamb_mm.pretrain'], allow_failed_imports=False)

data_root = '{{$DATA_ROOT:data/CUB_200_2011}}'
model = dict(
    head=dict(
        _delete_=True,
        type='OSMCAAHead',
        num_classes=200,
        in_channels=2048,
        embedding_channels=512,
        loss=dict(type='OSMCAALoss', osm=True, caa=True, temperature=0.1)))
train_dataloader = dict(
    batch_size=64,
    batch_sampler=dict(
        type='IdentityBalancedBatchSampler', num_samples_per_class=4),
    dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
