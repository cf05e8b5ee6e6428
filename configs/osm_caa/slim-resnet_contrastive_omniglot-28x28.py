_base_ = '../_base_/omniglot_28.py'

model = dict(head=dict(loss=dict(osm=False, caa=False)))
