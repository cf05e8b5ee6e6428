# Procedural faces: noisy annotations to train on, the truth to measure with.
_base_ = 'slim_hourglass_96.py'

train_dataloader = dict(
    dataset=dict(
        type='SyntheticFaceDataset',
        num_samples=1000,
        seed=0,
        noise='realistic',
        cache_images=True))
val_dataloader = dict(
    dataset=dict(
        type='SyntheticFaceDataset',
        num_samples=200,
        seed=1000,
        annotation='truth',
        cache_images=True))
test_dataloader = dict(
    dataset=dict(
        type='SyntheticFaceDataset',
        num_samples=400,
        seed=2000,
        annotation='truth'))
