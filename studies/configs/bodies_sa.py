"""What semantic alignment adds to bodies.py."""

_base_ = "bodies.py"
model = dict(head=dict(type="SemanticAlignmentHead"))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="LatentTargetHook", start=12, consensus=dict()),
]
