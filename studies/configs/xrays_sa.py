"""What semantic alignment adds to xrays.py."""

_base_ = "xrays.py"
model = dict(head=dict(type="SemanticAlignmentHead"))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="LatentTargetHook", start=40, consensus=dict()),
]
