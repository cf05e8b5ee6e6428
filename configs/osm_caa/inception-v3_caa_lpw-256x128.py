_base_ = 'inception-v3_osm-caa_lpw-256x128.py'

model = dict(head=dict(loss=dict(osm=False, caa=True)))
