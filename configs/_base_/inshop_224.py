_base_ = 'zero_shot_224.py'

data_root = '{{$DATA_ROOT:data/inshop}}'
train_dataloader = dict(dataset=dict(type='InShopRetrieval', data_root=data_root))
val_dataloader = dict(dataset=dict(type='InShopRetrieval', data_root=data_root))
test_dataloader = dict(dataset=dict(type='InShopRetrieval', data_root=data_root))
# CMC-k is the benchmark's Recall@k.
val_evaluator = dict(
    _delete_=True,
    type='TrackletRetrievalMetric',
    topk=(1, 10, 20, 30, 40, 50),
    prefix='retrieval')
test_evaluator = val_evaluator
