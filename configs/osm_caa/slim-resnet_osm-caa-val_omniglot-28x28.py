_base_ = ['slim-resnet_osm-caa_omniglot-28x28.py', '../_base_/chosen_on_val.py']

model = dict(head=dict(num_classes=110))
train_dataloader = _base_.chosen_train
val_dataloader = _base_.chosen_val
default_hooks = dict(checkpoint=_base_.chosen_checkpoint)
