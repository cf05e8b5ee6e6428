_base_ = '../_base_/omniglot_28.py'
