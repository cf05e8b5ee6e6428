_base_ = ['slim-resnet_osm-caa_omniglot-28x28.py', '../_base_/osm_caa_authors.py']

model = dict(
    head=dict(
        _base_.authors_head,
        loss=dict(_base_.authors_head.loss, temperature=1.0)))
# Batches stay those of the other Omniglot configs, to be compared with them.
