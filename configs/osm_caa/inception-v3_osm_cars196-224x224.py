_base_ = 'inception-v3_osm-caa_cars196-224x224.py'

model = dict(head=dict(loss=dict(osm=True, caa=False)))
