# Any folder in 300W's layout with list files; DATA_ROOT names it.
_base_ = 'slim_hourglass_96.py'

data_root = '{{$DATA_ROOT:data/300w_subset}}'
train_dataloader = dict(
    dataset=dict(
        type='PtsFaceDataset', data_root=data_root, ann_file='train.txt'))
val_dataloader = dict(
    dataset=dict(
        type='PtsFaceDataset', data_root=data_root, ann_file='val.txt'))
test_dataloader = dict(
    dataset=dict(
        type='PtsFaceDataset', data_root=data_root, ann_file='val.txt'))
