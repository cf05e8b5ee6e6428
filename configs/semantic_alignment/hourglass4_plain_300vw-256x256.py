_base_ = '../_base_/300vw_256.py'
