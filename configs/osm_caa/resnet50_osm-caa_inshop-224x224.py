_base_ = [
    '../_base_/resnet50_retriever.py',
    '../_base_/inshop_224.py',
]

model = dict(head=dict(num_classes=3997))
