"""studies/video_order.py: videos of H.264, orders of as many samples, the table."""

import av
import numpy as np
import pytest
from mmengine.registry import DATA_SAMPLERS, init_default_scope
from mmpose.registry import DATASETS

from studies import video_order


@pytest.fixture(scope="module")
def args(tmp_path_factory):
    args = video_order.parse_args(["--seeds", "3"])
    args.work_dir = str(tmp_path_factory.mktemp("order"))
    args.videos, args.frames, args.stride, args.key_frames = 2, 20, 5, 5
    video_order.make_videos(3, args)
    return args


def orders(args):
    """Return, of each order, video and frame of two epochs' samples."""
    init_default_scope("mmpose")
    for run in video_order.plan(args):
        loader = run.resolved.train_dataloader
        dataset = DATASETS.build(loader.dataset)
        kind = dict(loader.sampler, dataset=dataset, seed=0)
        sampler = DATA_SAMPLERS.build(kind)
        epochs = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            infos = [dataset.get_data_info(index) for index in sampler]
            epochs.append([(i["sequence_id"], i["frame_number"]) for i in infos])
        yield run.names[-1], epochs


def test_videos_are_h264_with_key_frames_where_asked(args):
    for video in ("s000", "s001"):
        with av.open(str(video_order.tree_of(3, args) / video / "vid.avi")) as file:
            assert file.streams.video[0].codec_context.name == "h264"
            keys = [frame.key_frame for frame in file.decode(video=0)]
        assert np.flatnonzero(keys).tolist() == [0, 5, 10, 15]


def test_orders_take_as_many_samples(args):
    found = dict(orders(args))
    assert tuple(found) == video_order.ORDERS
    strided = {(video, 5 * i + 1) for video in ("s000", "s001") for i in range(4)}
    for order, epochs in found.items():
        assert [len(epoch) for epoch in epochs] == [8, 8]
        if order == "whole stretches":
            assert set(epochs[0]) != set(epochs[1])
        else:
            assert all(set(epoch) == strided for epoch in epochs)


def test_the_table_compares_equal_seeds(args, monkeypatch):
    errors = dict(zip(video_order.ORDERS, (2.0, 2.5, 1.5)))
    monkeypatch.setattr(
        video_order,
        "validations",
        lambda run, wanted: {
            1: {video_order.NME: (errors[run.names[-1]] + run.seed) / 100}
        },
    )
    args.seeds = [3, 4]
    text = video_order.table(video_order.plan(args))
    assert "| strided, shuffled | 2 | 5.50 ± 0.71 |  |" in text
    assert "| strided, in stretches | 2 | 6.00 ± 0.71 | +0.50 (+0.50 to" in text
