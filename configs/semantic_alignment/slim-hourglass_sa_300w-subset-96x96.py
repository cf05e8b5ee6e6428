_base_ = 'slim-hourglass_plain_300w-subset-96x96.py'

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='LatentTargetHook', start=12),
]
