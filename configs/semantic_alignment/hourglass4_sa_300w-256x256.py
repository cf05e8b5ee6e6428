_base_ = ['hourglass4_plain_300w-256x256.py', '../_base_/alignment_68.py']

custom_hooks = [dict(type='SyncBuffersHook'), dict(_base_.latent_target_hook, start=24)]
