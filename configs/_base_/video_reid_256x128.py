_base_ = 'reid_256x128.py'

# Neighbouring frames hardly differ.
train_dataloader = dict(dataset=dict(tracklet_stride=8))
