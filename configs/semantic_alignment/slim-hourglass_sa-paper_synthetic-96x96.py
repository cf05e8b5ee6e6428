# The paper's recipe to the letter: the minimising cell replaces the target, and
# the next search starts from there.
_base_ = 'slim-hourglass_plain_synthetic-96x96.py'

model = dict(
    head=dict(
        search=dict(sigma_prior=4.0, sigma_likelihood=1.0, subcell='none')))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(
        type='LatentTargetHook', start=8, anchor='previous', momentum=1.0),
]
