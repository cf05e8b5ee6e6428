_base_ = [
    '../_base_/runtime_small.py',
    '../_base_/300w_subset_96.py',
]
