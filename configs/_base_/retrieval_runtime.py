_base_ = ['mmpretrain::_base_/default_runtime.py', 'any_runtime.py']

custom_imports = dict(imports=['semamb_mm.pretrain'], allow_failed_imports=False)

randomness, env_cfg, visualizer = _base_.any_runtime
default_hooks = dict(
    logger=dict(interval=10),
    # What is validated are the test classes: no epoch is chosen by them. Configs
    # that choose one validate training classes: chosen_on_val.py.
    checkpoint=_base_.any_checkpoint)
