_base_ = [
    '../_base_/inception-v3_retriever.py',
    '../_base_/cars196_224.py',
]

model = dict(head=dict(num_classes=98))
