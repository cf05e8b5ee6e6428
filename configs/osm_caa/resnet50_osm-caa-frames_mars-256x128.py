_base_ = 'resnet50_osm-caa_mars-256x128.py'

# Four frames of a tracklet are one sample, pooled by attention.
num_frames = 4
model = dict(
    data_preprocessor=dict(type='TrackletDataPreprocessor'),
    image_encoder=[
        *_base_.model.image_encoder,
        dict(
            type='TrackletPooling',
            num_frames=num_frames,
            mode='attention',
            in_channels=2048),
    ])
train_dataloader = dict(
    batch_size=32,
    sampler=dict(num_classes_per_batch=8, num_samples_per_class=4),
    dataset=dict(
        _delete_=True,
        type='TrackletFrames',
        num_frames=num_frames,
        dataset=dict(_base_.train_dataloader.dataset, tracklet_stride=1)))
val_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='TrackletFrames',
        num_frames=num_frames,
        dataset=_base_.val_dataloader.dataset))
test_dataloader = val_dataloader
