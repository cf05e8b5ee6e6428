_base_ = 'video_reid_256x128.py'

data_root = '{{$DATA_ROOT:data/pep_256x128}}'
train_dataloader = dict(dataset=dict(type='LPW', data_root=data_root))
val_dataloader = dict(dataset=dict(type='LPW', data_root=data_root))
test_dataloader = dict(dataset=dict(type='LPW', data_root=data_root))
