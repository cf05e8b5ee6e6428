_base_ = 'reid_256x128.py'

data_root = '{{$DATA_ROOT:data/Market-1501-v15.09.15}}'
train_dataloader = dict(dataset=dict(type='Market1501', data_root=data_root))
val_dataloader = dict(dataset=dict(type='Market1501', data_root=data_root))
test_dataloader = dict(dataset=dict(type='Market1501', data_root=data_root))
# Market-1501's own evaluation takes the average precision by trapezoids.
val_evaluator = dict(average_precision='trapezoid')
test_evaluator = val_evaluator
