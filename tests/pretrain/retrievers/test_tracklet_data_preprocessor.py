import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

# As many frames as channels, which a preprocessor of images would confuse.
FRAMES = 3


def build():
    return MODELS.build(
        dict(
            type="TrackletDataPreprocessor", mean=[1, 2, 3], std=[2, 2, 2], to_rgb=True
        )
    )


def test_frames_are_what_the_stock_one_makes_of_images():
    samples = torch.randint(0, 256, (2, FRAMES, 3, 5, 4), dtype=torch.uint8)
    stock = MODELS.build(
        dict(type="ClsDataPreprocessor", mean=[1, 2, 3], std=[2, 2, 2], to_rgb=True)
    )
    expected = stock(dict(inputs=list(samples.flatten(0, 1))))["inputs"]
    labels = [DataSample().set_gt_label(label) for label in (4, 5)]
    for inputs in (samples, list(samples)):
        data = build()(dict(inputs=inputs, data_samples=labels))
        torch.testing.assert_close(data["inputs"], expected)
        assert [int(sample.gt_label) for sample in data["data_samples"]] == [4, 5]


def test_single_images_are_refused():
    with pytest.raises(ValueError, match="wrap the data set in .*TrackletFrames"):
        build()(dict(inputs=[torch.zeros(3, 5, 4)]))
