# Semantic alignment as a fragment: list it last in _base_ of any config whose
# model has a heatmap head and whose train pipeline has LoadLatentTargets.
model = dict(head=dict(type='SemanticAlignmentHead'))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='LatentTargetHook', start=10),
]
