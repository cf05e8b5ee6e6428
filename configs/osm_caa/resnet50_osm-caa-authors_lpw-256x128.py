_base_ = ['resnet50_osm-caa_lpw-256x128.py', '../_base_/osm_caa_authors.py']

model = dict(
    head=dict(
        _base_.authors_head,
        loss=dict(_base_.authors_head.loss, sigma=0.6)))
train_dataloader = _base_.authors_batches
