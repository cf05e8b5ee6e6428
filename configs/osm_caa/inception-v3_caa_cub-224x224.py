_base_ = 'inception-v3_osm-caa_cub-224x224.py'

model = dict(head=dict(loss=dict(osm=False, caa=True)))
