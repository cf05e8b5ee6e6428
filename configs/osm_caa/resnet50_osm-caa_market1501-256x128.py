_base_ = [
    '../_base_/resnet50_retriever.py',
    '../_base_/market1501_256x128.py',
]

model = dict(head=dict(num_classes=751))
