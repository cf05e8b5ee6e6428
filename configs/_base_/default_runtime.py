_base_ = ['mmpose::_base_/default_runtime.py', 'any_runtime.py']

custom_imports = dict(imports=['semamb_mm.pose'], allow_failed_imports=False)

# Read by MMPose's inferencers alone; for this type of data they take the whole
# image as the face, unless det_model says otherwise.
data_mode = 'topdown'
dataset_type = 'PtsFaceDataset'
randomness, env_cfg, visualizer = _base_.any_runtime
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        _base_.any_checkpoint, save_best='NME/inter_ocular', rule='less'))
