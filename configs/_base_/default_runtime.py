_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['semamb_mm.pose'], allow_failed_imports=False)

# Read by MMPose's inferencers alone; for this type of data they take the whole
# image as the face, unless det_model says otherwise.
data_mode = 'topdown'
dataset_type = 'PtsFaceDataset'
randomness = dict(seed=0)
env_cfg = dict(mp_cfg=dict(opencv_num_threads=1))
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=1,
        max_keep_ckpts=2,
        save_best='NME/inter_ocular',
        rule='less',
        backend_args=dict(backend='atomic_local')))
visualizer = dict(
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
    ])
