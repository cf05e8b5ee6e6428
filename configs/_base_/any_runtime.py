# What training has in common under MMPose's runtime and MMPretrain's. Both bring these
# keys, so that the config that inherits one and this sets them:
#   randomness, env_cfg, visualizer = _base_.any_runtime
any_runtime = (
    dict(seed=0),
    dict(mp_cfg=dict(opencv_num_threads=1)),
    dict(
        vis_backends=[
            dict(type='LocalVisBackend'),
            dict(type='TensorboardVisBackend'),
        ]),
)
any_checkpoint = dict(
    interval=1, max_keep_ckpts=2, backend_args=dict(backend='atomic_local'))
