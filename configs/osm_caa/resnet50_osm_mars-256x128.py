_base_ = 'resnet50_osm-caa_mars-256x128.py'

model = dict(head=dict(loss=dict(osm=True, caa=False)))
