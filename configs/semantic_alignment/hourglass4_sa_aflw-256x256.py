_base_ = [
    '../_base_/alignment_19.py',
    'hourglass4_plain_aflw-256x256.py',
]

custom_hooks = [dict(type='SyncBuffersHook'), _base_.latent_target_hook]
