_base_ = 'slim-hourglass_plain_synthetic-96x96.py'

# The brows are marked more exactly than the contour: their heatmaps count less.
model = dict(
    head=dict(
        search=dict(sigma_likelihood=[1.0] * 17 + [2.0] * 10 + [1.0] * 41)))

custom_hooks = [
    dict(type='SyncBuffersHook'),
    # Landmarks 31-67 (nostrils, eyes, mouth) are marked more exactly than this
    # small network finds them: they keep their annotation.
    dict(type='LatentTargetHook', start=6, freeze=list(range(31, 68))),
]
