_base_ = 'zero_shot_224.py'

data_root = '{{$DATA_ROOT:data/Stanford_Online_Products}}'
train_dataloader = dict(dataset=dict(type='SOPRetrieval', data_root=data_root))
val_dataloader = dict(dataset=dict(type='SOPRetrieval', data_root=data_root))
test_dataloader = dict(dataset=dict(type='SOPRetrieval', data_root=data_root))
val_evaluator = dict(topk=(1, 10, 100, 1000))
test_evaluator = val_evaluator
