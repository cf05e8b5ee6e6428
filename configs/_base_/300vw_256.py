# 300-VW as downloaded, <id>/vid.avi and <id>/annot/*.pts below DATA_ROOT: train on
# every fifth frame of 50 videos, test on all frames of 64, by category.
_base_ = 'hourglass4_256.py'

load, *steps, pack = _base_.val_pipeline
val_pipeline = [
    load, *steps,
    dict(
        pack,
        meta_keys=('id', 'img_id', 'img_path', 'category_id', 'crowd_index',
                   'ori_shape', 'img_shape', 'input_size', 'input_center',
                   'input_scale', 'flip', 'flip_direction', 'flip_indices',
                   'raw_ann_info', 'dataset_name', 'sequence_id',
                   'frame_number', 'category'))
]
data_root = '{{$DATA_ROOT:data/300vw}}'
train_dataloader = dict(
    # As DefaultSampler shuffles, but each frame is decoded about once.
    sampler=dict(
        _delete_=True,
        type='VideoShuffleSampler',
        batch_size=_base_.train_dataloader.batch_size,
        num_workers=_base_.train_dataloader.num_workers),
    dataset=dict(
        type='Face300VWVideoDataset',
        data_root=data_root,
        split='train',
        stride=5,
        max_open=_base_.train_dataloader.batch_size))
val_dataloader = dict(
    dataset=dict(
        type='Face300VWVideoDataset',
        data_root=data_root,
        split='test',
        stride=50,
        pipeline=val_pipeline))
test_dataloader = dict(
    dataset=dict(
        type='Face300VWVideoDataset',
        data_root=data_root,
        split='test',
        pipeline=val_pipeline))
val_evaluator = dict(
    type='FaceNME',
    norms=('inter_pupil', 'inter_ocular'),
    include_hidden=True,
    groups='category')
test_evaluator = dict(
    type='FaceVideoNME',
    norms=('inter_pupil', 'inter_ocular'),
    include_hidden=True)

train_cfg = dict(max_epochs=15, val_interval=3)
param_scheduler = [
    _base_.warm_up,
    dict(type='MultiStepLR', milestones=[10, 14], gamma=0.1, by_epoch=True),
]
