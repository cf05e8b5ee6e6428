_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_imports = dict(imports=['semamb_mm.pretrain'], allow_failed_imports=False)

randomness = dict(seed=0)
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=1,
        max_keep_ckpts=2,
        save_best='retrieval/Recall@1',
        rule='greater',
        backend_args=dict(backend='atomic_local')))
visualizer = dict(
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
    ])
