_base_ = '../_base_/300w_256.py'
