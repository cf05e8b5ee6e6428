_base_ = 'video_reid_256x128.py'

data_root = '{{$DATA_ROOT:data/mars}}'
train_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
val_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
test_dataloader = dict(dataset=dict(type='MARS', data_root=data_root))
# The gallery of MARS's own evaluation is all test tracklets.
val_evaluator = dict(queries_in_gallery=True)
test_evaluator = dict(queries_in_gallery=True)
