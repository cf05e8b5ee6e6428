_base_ = 'video_reid_256x128.py'

data_root = '{{$DATA_ROOT:data/mars}}'
train_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
val_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
test_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
# MARS's own evaluation: the gallery is all test tracklets, and the average precision
# is taken by trapezoids.
val_evaluator = dict(queries_in_gallery=True, average_precision='trapezoid')
test_evaluator = val_evaluator
