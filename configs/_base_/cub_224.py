_base_ = 'zero_shot_224.py'

data_root = '{{$DATA_ROOT:data/CUB_200_2011}}'
train_dataloader = dict(dataset=dict(type='CUBRetrieval', data_root=data_root))
val_dataloader = dict(dataset=dict(type='CUBRetrieval', data_root=data_root))
test_dataloader = dict(dataset=dict(type='CUBRetrieval', data_root=data_root))
