# MMPose's own HRNet config on 300W with semantic alignment mixed in; it reads 300W
# as iBUG hands it out, DATA_ROOT.
_base_ = [
    'mmpose::face_2d_keypoint/topdown_heatmap/300w/'
    'td-hm_hrnetv2-w18_8xb64-60e_300w-256x256.py',
    '../_base_/300w_official.py',
    '../_base_/alignment_68.py',
]

custom_imports = dict(imports=['semamb_mm.pose'], allow_failed_imports=False)

# unbiased: a target's move below one cell is not rounded away.
codec = dict(_base_.codec, unbiased=True, blur_kernel_size=7)
model = dict(
    head=dict(
        type='SemanticAlignmentHead',
        decoder=codec))
load, *steps, target, pack = _base_.train_pipeline
train_pipeline = [
    load,
    dict(type='LoadLatentTargets'), *steps,
    dict(target, encoder=codec), pack
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True, pipeline=train_pipeline, **_base_.train_faces))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        test_mode=True,
        pipeline=_base_.val_pipeline,
        **_base_.test_faces))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, **_base_.common_and_challenge)
test_evaluator = val_evaluator

randomness = dict(seed=0)
default_hooks = dict(checkpoint=dict(save_best=None))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(_base_.latent_target_hook, start=24),
]
