_base_ = [
    'hourglass4_plain_aflw-256x256.py',
    '../_base_/alignment_19.py',
]

custom_hooks = [dict(type='SyncBuffersHook'), _base_.latent_target_hook]
