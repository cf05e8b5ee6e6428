import numpy as np
import pytest
import torch

from semamb_mm.pretrain import MARS, CUBRetrieval, TrackletFrames
from tests.trees.retrieval import make_cub, make_mars

PIPELINE = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]


def build(root, split="train", num_frames=3, **options):
    dataset = MARS(root, split=split, pipeline=PIPELINE, **options)
    return TrackletFrames(dataset, num_frames)


def positions(wrapped, sample):
    """Which images of the wrapped data set a sample's frames are."""
    images = [wrapped.dataset[i]["inputs"] for i in range(len(wrapped.dataset))]
    return [
        next(i for i, image in enumerate(images) if torch.equal(image, frame))
        for frame in sample["inputs"]
    ]


def test_a_training_sample_is_a_tracklet_frames_of_each_third(tmp_path):
    root = make_mars(tmp_path, frames=7)
    wrapped = build(root)
    plain = MARS(root)
    assert len(wrapped) == 6
    assert wrapped.get_gt_labels().tolist() == [0, 0, 0, 1, 1, 2]
    assert wrapped.metainfo == plain.metainfo
    seen = set()
    for _ in range(20):
        sample = wrapped[2]
        assert sample["inputs"].shape == (3, 3, 30, 40)
        assert (
            int(sample["data_samples"].gt_label) == wrapped.get_data_info(2)["gt_label"]
        )
        drawn = positions(wrapped, sample)
        # A frame on the border of two thirds lies in both.
        thirds = ((14, 15, 16), (16, 17, 18), (18, 19, 20))
        assert all(frame in third for frame, third in zip(drawn, thirds, strict=True))
        seen |= set(drawn)
    assert seen == set(range(14, 21))


@pytest.mark.parametrize("frames, clips", [(7, 3), (6, 2), (2, 1), (1, 1)])
def test_test_samples_have_all_frames(tmp_path, frames, clips):
    wrapped = build(make_mars(tmp_path, frames=frames), split="test")
    assert len(wrapped) == 6 * clips
    for tracklet in range(6):
        samples = wrapped.samples[tracklet * clips : (tracklet + 1) * clips]
        first = tracklet * frames
        assert all(len(sample) == 3 for sample in samples)
        assert set(np.concatenate(samples)) == set(range(first, first + frames))
        assert all((np.diff(sample) >= 0).all() for sample in samples)
    infos = [wrapped.get_data_info(i) for i in range(len(wrapped))]
    assert {info["role"] for info in infos} == {"query", "gallery"}


def test_bad_input_is_named(tmp_path):
    root = make_mars(tmp_path / "mars")
    with pytest.raises(ValueError, match="num_frames must be positive, got 0"):
        build(root, num_frames=0)
    with pytest.raises(
        ValueError, match="tracklet .* has the labels . and .. All images"
    ):
        build(root, label_noise=0.3)
    birds = CUBRetrieval(make_cub(tmp_path / "cub"))
    with pytest.raises(KeyError, match="CUBRetrieval has no 'tracklet_id'"):
        TrackletFrames(birds)
