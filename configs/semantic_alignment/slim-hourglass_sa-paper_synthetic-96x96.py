_base_ = [
    '../_base_/alignment_paper.py',
    'slim-hourglass_plain_synthetic-96x96.py',
]

model = dict(head=dict(search=_base_.paper_search))
custom_hooks = [dict(type='SyncBuffersHook'), _base_.latent_target_hook]
