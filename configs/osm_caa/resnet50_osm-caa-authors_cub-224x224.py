_base_ = ['resnet50_osm-caa_cub-224x224.py', '../_base_/osm_caa_authors.py']

model = dict(head=_base_.authors_head)
train_dataloader = _base_.authors_batches
