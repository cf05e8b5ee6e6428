_base_ = ['resnet50_osm-caa_cub-224x224.py', '../_base_/chosen_on_val.py']

model = dict(head=dict(num_classes=80))
train_dataloader = _base_.chosen_train
val_dataloader = _base_.chosen_val
default_hooks = dict(checkpoint=_base_.chosen_checkpoint)
