# AFLW-Full, 19 landmarks, as tools/dataset_converters/convert_aflw.py leaves it in
# DATA_ROOT.
_base_ = 'hourglass4_256.py'

model = dict(head=dict(out_channels=19))
data_root = '{{$DATA_ROOT:data/aflw}}'
train_dataloader = dict(
    dataset=dict(
        type='AFLWDataset',
        data_root=data_root,
        ann_file='annotations/face_landmarks_aflw_train.json',
        data_prefix=dict(img='')))
val_dataloader = dict(
    dataset=dict(
        type='AFLWDataset',
        data_root=data_root,
        ann_file='annotations/face_landmarks_aflw_test.json',
        data_prefix=dict(img='')))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FaceNME',
    norms=('bbox_size', ),
    box='annotation',
    regions=dict(
        brows=list(range(0, 6)),
        eyes=list(range(6, 12)),
        nose=list(range(12, 15)),
        mouth=list(range(15, 18)),
        chin=[18]))
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=30, val_interval=5)
param_scheduler = [
    _base_.warm_up,
    dict(type='MultiStepLR', milestones=[20, 27], gamma=0.1, by_epoch=True),
]
