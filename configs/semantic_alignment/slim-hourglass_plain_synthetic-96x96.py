_base_ = [
    '../_base_/runtime_small.py',
    '../_base_/synthetic_96.py',
]
