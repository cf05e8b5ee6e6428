_base_ = 'zero_shot_224.py'

data_root = '{{$DATA_ROOT:data/cars196}}'
train_dataloader = dict(dataset=dict(type='CARS196Retrieval', data_root=data_root))
val_dataloader = dict(dataset=dict(type='CARS196Retrieval', data_root=data_root))
test_dataloader = dict(dataset=dict(type='CARS196Retrieval', data_root=data_root))
