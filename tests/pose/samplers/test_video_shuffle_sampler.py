from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import DataLoader, get_worker_info

from semamb_mm.formats.videos import VideoFrames
from semamb_mm.pose.datasets import Face300VWFrameDataset, Face300VWVideoDataset
from semamb_mm.pose.samplers import VideoShuffleSampler
from semamb_mm.pose.samplers import video_shuffle_sampler as video_sampler
from tests.trees.videos import encode_video, extract, write_annotations, write_tree

FRAMES = {"001": 60, "002": 45, "003": 50}
KEY_FRAMES = 20


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("300vw")
    for video, frames in FRAMES.items():
        options = dict(g=str(KEY_FRAMES), sc_threshold="1000000000")
        encode_video(root / video / "vid.avi", frames, "mpeg4", options)
        write_annotations(root / video / "annot", range(1, frames + 1))
    return root


def build(root, **kwargs):
    return Face300VWVideoDataset(str(root), ids=list(FRAMES), **kwargs)


def test_stretches_are_the_samples_between_key_frames(tree):
    dataset = build(tree, stride=3)
    expected = {}
    for index in range(len(dataset)):
        info = dataset.data_list[index]
        name = info["sequence_id"], (info["frame_number"] - 1) // KEY_FRAMES
        expected.setdefault(name, []).append(index)
    found = dataset.stretches()
    assert [samples.tolist() for _, samples in found] == list(expected.values())
    assert [dataset.ids[video] for video, _ in found] == [v for v, _ in expected]


def test_stretches_of_a_subset_are_in_order_and_hold_all_of_it(tree):
    chosen = np.random.default_rng(0).permutation(len(build(tree)))[:50]
    dataset = build(tree, indices=chosen.tolist())
    found = np.concatenate([samples for _, samples in dataset.stretches()])
    assert sorted(found.tolist()) == list(range(50))
    assert (np.diff(chosen[found]) > 0).all()


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_sample_once_an_epoch(tree, monkeypatch, world_size, num_workers):
    dataset = build(tree)
    seen = Counter()
    for rank in range(world_size):
        info = (rank, world_size)
        monkeypatch.setattr(video_sampler, "get_dist_info", lambda info=info: info)
        sampler = VideoShuffleSampler(dataset, 8, num_workers, seed=0)
        indices = list(sampler)
        assert len(indices) == len(sampler) == -(-len(dataset) // world_size)
        seen.update(indices)
    assert set(seen) == set(range(len(dataset)))
    assert seen.total() - len(dataset) < world_size
    assert max(seen.values()) <= 2


def test_epochs_and_seeds_differ_and_come_back(tree):
    dataset = build(tree)
    orders = set()
    for seed in (0, 1):
        sampler = VideoShuffleSampler(dataset, 8, 2, seed=seed)
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            order = tuple(sampler)
            assert order == tuple(sampler)
            orders.add(order)
    assert len(orders) == 4


def test_parts_take_all_samples_once_in_so_many_epochs(tree, monkeypatch):
    dataset = build(tree)
    for turn in (0, 1):
        seen = Counter()
        for rank in range(2):
            monkeypatch.setattr(
                video_sampler, "get_dist_info", lambda rank=rank: (rank, 2)
            )
            sampler = VideoShuffleSampler(dataset, 8, 2, parts=3, seed=0)
            for epoch in range(3 * turn, 3 * turn + 3):
                sampler.set_epoch(epoch)
                indices = list(sampler)
                assert len(indices) == len(sampler) == -(-len(dataset) // 6)
                seen.update(indices)
        assert set(seen) == set(range(len(dataset)))
        assert seen.total() - len(dataset) < 6


def test_parts_are_whole_stretches(tree):
    dataset = build(tree)
    sampler = VideoShuffleSampler(dataset, 8, 0, parts=4, seed=0)
    places = {
        index: number
        for number, (_, samples) in enumerate(dataset.stretches())
        for index in samples.tolist()
    }
    sizes = Counter(places.values())
    for epoch in range(4):
        sampler.set_epoch(epoch)
        taken = Counter(map(places.get, sampler))
        cut = [place for place in taken if taken[place] < sizes[place]]
        assert len(cut) <= 2 < len(taken)  # the first and the last


def test_a_resumed_training_goes_on_with_the_same_order(tree):
    dataset = build(tree)
    sampler = VideoShuffleSampler(dataset, 8, 2, parts=2, seed=0)
    orders = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    for epoch in (3, 1):
        resumed = VideoShuffleSampler(build(tree), 8, 2, parts=2, seed=0)
        resumed.set_epoch(epoch)
        assert list(resumed) == orders[epoch]
    assert sorted(orders[0]) != sorted(orders[2])  # other halves in the second turn


def test_the_end_of_an_epoch_is_as_mixed_as_the_rest(tree):
    """60, 45 and 50 frames: the longest is not left over."""
    dataset = build(tree, max_open=3)
    order = list(VideoShuffleSampler(dataset, 6, 0, seed=0))
    videos = [dataset.data_list[index]["sequence_id"] for index in order]
    for first in range(0, len(order) - 15, 5):
        found = Counter(videos[first : first + 15])
        for video, frames in FRAMES.items():
            assert abs(found[video] - 15 * frames / len(order)) <= 1


def test_a_batch_mixes_videos(tree):
    alike = [first + i for first in (0, 60, 105) for i in range(45)]
    dataset = build(tree, max_open=3, indices=alike)
    order = list(VideoShuffleSampler(dataset, 6, 0, seed=0))
    videos = [dataset.data_list[index]["sequence_id"] for index in order[:90]]
    for first in range(0, 90, 6):
        assert Counter(videos[first : first + 6]) == dict.fromkeys(FRAMES, 2)


def test_each_frame_is_decoded_about_once(tree, monkeypatch):
    decoded = Counter()
    begin = VideoFrames._decode

    def counting(packets):
        for frame in begin(packets):
            decoded["frames"] += 1
            yield frame

    monkeypatch.setattr(VideoFrames, "_decode", staticmethod(counting))
    dataset = build(tree, max_open=3)
    for index in VideoShuffleSampler(dataset, 6, 0, seed=0):
        dataset[index]
    # Decoders give a frame or two before the key frame that was sought.
    assert len(dataset) <= decoded["frames"] <= 1.2 * len(dataset)
    in_turn = decoded.total()
    decoded.clear()
    for index in np.random.default_rng(0).permutation(len(dataset)).tolist():
        dataset[index]
    assert decoded["frames"] > 4 * in_turn


def name_worker(info):
    """In a pipeline: the worker, the video and the stretch."""
    stretch = (info["frame_number"] - 1) // KEY_FRAMES
    return get_worker_info().id, info["sequence_id"], stretch, info["sample_idx"]


def test_a_stretch_is_read_by_one_worker(tree):
    dataset = build(tree, pipeline=[name_worker])
    sampler = VideoShuffleSampler(dataset, 8, 2, seed=0)
    loader = DataLoader(
        dataset, 8, sampler=sampler, num_workers=2, collate_fn=pseudo_collate
    )
    readers, seen = {}, []
    for workers, videos, stretches, indices in loader:
        seen += indices
        for worker, video, stretch in zip(workers, videos, stretches):
            readers.setdefault((video, stretch), set()).add(worker)
    assert sorted(seen) == list(range(len(dataset)))
    # One stretch at most lies across the border between two workers' parts.
    assert sum(len(workers) > 1 for workers in readers.values()) <= 1


def test_wrong_arguments(tree, tmp_path):
    dataset = build(tree, max_open=2)
    with pytest.raises(ValueError, match="streams is 3.*keeps 2 videos open"):
        VideoShuffleSampler(dataset, 8, 2, streams=3)
    for arguments in ((0, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, 1, 0)):
        with pytest.raises(ValueError, match="expected at least 1, 0, 1"):
            VideoShuffleSampler(dataset, *arguments)
    write_tree(tmp_path, {"001": 3})
    extract(tmp_path, "001", [1, 2, 3])
    frames = Face300VWFrameDataset(str(tmp_path), ids=["001"])
    with pytest.raises(TypeError, match="Extracted frames need DefaultSampler"):
        VideoShuffleSampler(frames, 8, 2)


def test_built_as_the_runner_builds_it(tree):
    sampler = DATA_SAMPLERS.build(
        dict(type="VideoShuffleSampler", batch_size=8, num_workers=2),
        default_args=dict(dataset=build(tree), seed=3),
    )
    assert sampler.seed == 3 and sampler.streams == 4
