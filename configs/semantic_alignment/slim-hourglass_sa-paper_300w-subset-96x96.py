_base_ = [
    '../_base_/alignment_paper.py',
    'slim-hourglass_plain_300w-subset-96x96.py',
]

custom_hooks = [dict(type='SyncBuffersHook'), _base_.latent_target_hook]
