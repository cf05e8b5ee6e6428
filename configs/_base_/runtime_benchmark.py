# Full benchmarks on a GPU. No checkpoint is chosen by its score: evaluation
# during training is of the test set, as in MMPose.
_base_ = 'default_runtime.py'

optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4))
auto_scale_lr = dict(base_batch_size=16)
warm_up = dict(
    type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False)
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(save_best=None))
