_base_ = ['resnet50_osm-caa_mars-256x128.py', '../_base_/osm_caa_authors.py']

model = dict(
    head=dict(
        _base_.authors_head,
        loss=dict(_base_.authors_head.loss, sigma=1.0)))
train_dataloader = _base_.authors_batches
