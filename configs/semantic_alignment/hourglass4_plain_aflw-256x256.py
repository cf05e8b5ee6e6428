_base_ = '../_base_/aflw_256.py'
