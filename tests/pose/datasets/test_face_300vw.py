import json
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from semamb_mm.pose.datasets import Face300VWFrameDataset, Face300VWVideoDataset
from semamb_mm.pose.datasets.face_300vw import SPLITS, broken_frames
from semamb_mm.pose.datasets.pts_io import PtsError, write_pts
from semamb_mm.pose.datasets.video_frames import VideoError, scan_video
from semamb_mm.pose.hooks.latent_target_hook import build_store

from .video_trees import (
    extract,
    landmarks,
    read_number,
    write_annotations,
    write_tree,
    write_video,
)

VIDEOS = {"001": 40, "002": 25}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("300vw"), VIDEOS)


def build(root, ids=("001", "002"), **kwargs):
    return Face300VWVideoDataset(str(root), ids=ids, **kwargs)


def check_frame(info):
    """The image, the annotation and the names are those of one frame."""
    number = info["frame_number"]
    assert read_number(info["img"]) == number
    assert np.allclose(info["keypoints"][0], landmarks(number), atol=1e-3)
    assert info["sample_key"] == f"{info['sequence_id']}/{number:06d}"


def test_the_splits_are_the_papers():
    sizes = {name: len(ids) for name, ids in SPLITS.items()}
    assert sizes == dict(train=50, category1=31, category2=19, category3=14, test=64)
    assert len(set(SPLITS["train"]) | set(SPLITS["test"])) == 114


def test_the_broken_frames_are_the_published_ones():
    broken = broken_frames()
    assert len(broken) == 16 and set(broken) <= set(SPLITS["test"])
    assert sum(map(len, broken.values())) == 2127
    assert {722, 731, 732, 788} & broken["401"] == {722, 731, 788}


@pytest.mark.parametrize("codec", ["MJPG", "XVID"])
def test_every_frame_meets_its_annotation(tmp_path, codec):
    dataset = build(write_tree(tmp_path, VIDEOS, codec))
    assert len(dataset) == 65
    for index in range(65):
        check_frame(dataset.get_data_info(index))
    order = list(range(65))
    random.Random(0).shuffle(order)
    for index in order:
        check_frame(dataset.get_data_info(index))


def test_h264_meets_its_annotation(tmp_path):
    av = pytest.importorskip("av", reason="PyAV encodes the H.264 test video")
    from .video_trees import SIZE, numbered_frame

    path = tmp_path / "001" / "vid.avi"
    path.parent.mkdir()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"g": "30", "bf": "3"}
        )
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(1, 91):
            image = numbered_frame(number)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    write_annotations(tmp_path / "001" / "annot", range(1, 91))
    dataset = build(tmp_path, ["001"])
    for index in random.Random(1).sample(range(90), 40):
        check_frame(dataset.get_data_info(index))


def test_stride_broken_frames_and_subsets(tmp_path):
    write_tree(tmp_path, {"548": 5})
    write_annotations(tmp_path / "401" / "annot", range(720, 735))
    extract(tmp_path, "401", range(720, 735))
    frames = Face300VWFrameDataset(str(tmp_path), "category1", ids=["401"])
    numbers = [frames.get_data_info(i)["frame_number"] for i in range(len(frames))]
    assert numbers == [720, 721, 725, 726, 732, 733, 734]
    whole = Face300VWFrameDataset(
        str(tmp_path), "category1", ids=["401"], leave_out_broken=False, stride=5
    )
    assert [whole.get_data_info(i)["frame_number"] for i in range(len(whole))] == [
        721,
        726,
        731,
    ]
    first = build(tmp_path, ["548"], indices=3)
    assert len(first) == 3
    check_frame(first.get_data_info(2))
    info = first.get_data_info(0)
    assert (info["sequence_id"], info["category"]) == ("548", "category1")


def test_workers_read_what_the_main_process_reads(tree):
    pipeline = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="TopdownAffine", input_size=(64, 64)),
        dict(
            type="PackPoseInputs",
            meta_keys=("img_path", "sequence_id", "frame_number", "category"),
        ),
    ]
    dataset = DATASETS.build(
        dict(
            type="Face300VWVideoDataset",
            data_root=str(tree),
            ids=["001", "002"],
            pipeline=pipeline,
        )
    )
    here = [dataset[i]["inputs"] for i in range(len(dataset))]
    loader = DataLoader(dataset, 5, num_workers=2, collate_fn=pseudo_collate)
    seen = []
    for batch in loader:
        for image, sample in zip(batch["inputs"], batch["data_samples"]):
            assert (image == here[len(seen)]).all()
            seen.append((sample.sequence_id, sample.frame_number, sample.category))
    assert seen[39:41] == [("001", 40, "train"), ("002", 1, "train")]
    copy = pickle.loads(pickle.dumps(dataset))  # spawned workers
    check_frame(copy.get_data_info(50))


def test_it_keeps_few_videos_open(tree):
    dataset = build(tree, max_open=1)
    for index in (0, 40, 1, 41):
        check_frame(dataset.get_data_info(index))
    assert len(dataset._pool._open) == 1


def test_the_store_reads_no_frame(tree, monkeypatch):
    dataset = build(tree)
    monkeypatch.setattr(dataset._pool, "read", None)
    store = build_store(dataset)
    assert len(store.index) == 65 and store.index["002/000001"] == 40


def test_the_index_is_built_once_and_anew_when_a_file_changes(tmp_path, monkeypatch):
    write_tree(tmp_path, {"001": 6})
    build(tmp_path, ["001"])
    monkeypatch.setattr(
        "semamb_mm.pose.datasets.face_300vw.scan_video",
        lambda path: pytest.fail("scanned again"),
    )
    assert len(build(tmp_path, ["001"])) == 6
    monkeypatch.undo()
    moved = landmarks(3) + 1
    write_pts(tmp_path / "001/annot/000003.pts", moved)
    info = build(tmp_path, ["001"]).get_data_info(2)
    assert np.allclose(info["keypoints"][0], moved, atol=1e-3)


def test_an_unreadable_index_is_built_anew(tmp_path):
    write_tree(tmp_path, {"001": 4})
    dataset = build(tmp_path, ["001"])
    dataset._cache_file("001").write_bytes(b"half a file")
    assert len(build(tmp_path, ["001"])) == 4


def test_boxes_from_a_detector(tree, tmp_path):
    boxes = {"001": {str(n): [n, 2, 50, 60] for n in range(1, 41)}}
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    dataset = build(tree, ["001"], boxes=str(path))
    assert dataset.get_data_info(7)["bbox"].tolist() == [[8, 2, 50, 60]]
    del boxes["001"]["9"]
    path.write_text(json.dumps(boxes))
    with pytest.raises(ValueError, match="frame 9 of video 001"):
        build(tree, ["001"], boxes=str(path)).get_data_info(8)


def test_the_fixture_frames_are_mmposes():
    shared = os.environ.get("SEMAMB_SHARED")
    if not shared:
        pytest.skip("SEMAMB_SHARED is not set: MMPose's 300-VW fixture is there")
    root = Path(shared) / "data/mmpose_fixtures/300vw"
    theirs = DATASETS.build(
        dict(
            type="Face300VWDataset",
            ann_file="anno_300vw.json",
            data_root=str(root),
            data_prefix=dict(img=""),
        )
    )
    ours = Face300VWFrameDataset(str(root), ids=["001", "401"], leave_out_broken=False)
    mine = {
        os.path.realpath(d["img_path"]): d for d in map(ours.get_data_info, range(4))
    }
    assert len(theirs) == 3
    assert ours.metainfo["flip_pairs"] == theirs.metainfo["flip_pairs"]
    for index in range(3):
        other = theirs.get_data_info(index)
        same = mine[os.path.realpath(other["img_path"])]
        assert np.allclose(same["keypoints"], other["keypoints"], atol=1e-3)


# bad input


def test_a_wrong_split_and_missing_videos_are_named(tree):
    with pytest.raises(ValueError, match="split is 'val'.*category1"):
        Face300VWVideoDataset(str(tree), "val")
    with pytest.raises(FileNotFoundError, match="48 of the 50 .*003, 004"):
        Face300VWVideoDataset(str(tree), "train")
    with pytest.raises(FileNotFoundError, match="mend data_root"):
        build(tree / "nowhere")


def test_missing_and_surplus_annotations_never_shift_a_frame(tmp_path):
    root = write_tree(tmp_path, {"001": 12})
    (root / "001/annot/000005.pts").unlink()
    write_annotations(root / "001/annot", [13, 14])
    with pytest.raises(
        PtsError,
        match=r"video 001: 1 frames without a .pts file in annot/ \(000005\) and 2 "
        r".pts files without a frame in vid.avi \(000013, 000014\)",
    ):
        build(root, ["001"])
    dataset = build(root, ["001"], on_mismatch="skip")
    assert len(dataset) == 11
    for index in range(11):
        check_frame(dataset.get_data_info(index))


def test_empty_and_foreign_annotation_folders(tmp_path):
    root = write_tree(tmp_path, {"001": 3})
    write_annotations(root / "001/annot", [])
    odd = root / "001/annot/frame1.pts"
    odd.write_text("x")
    with pytest.raises(PtsError, match="frame1.pts: expected names like 000001.pts"):
        build(root, ["001"])
    for path in (root / "001/annot").iterdir():
        path.unlink()
    with pytest.raises(PtsError, match="annot is empty"):
        build(root, ["001"])


def test_a_truncated_video(tmp_path):
    root = write_tree(tmp_path, {"001": 60})
    path = root / "001/vid.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises((VideoError, PtsError), match="vid.avi|001"):
        build(root, ["001"])
    dataset = build(root, ["001"], on_mismatch="skip")
    assert 10 < len(dataset) < 50
    for index in range(len(dataset)):
        check_frame(dataset.get_data_info(index))


def test_no_video_and_not_a_video(tmp_path):
    write_annotations(tmp_path / "001/annot", [1])
    with pytest.raises(VideoError, match="no such video"):
        build(tmp_path, ["001"])
    (tmp_path / "001/vid.avi").write_text("not a video")
    with pytest.raises(VideoError, match="vid.avi: not a video"):
        build(tmp_path, ["001"])


def test_a_varying_frame_rate_is_seen(tmp_path):
    av = pytest.importorskip("av", reason="PyAV writes the video")
    from .video_trees import SIZE, numbered_frame

    steady = tmp_path / "steady.avi"
    write_video(steady, 30)
    assert not scan_video(steady).variable_rate
    path = tmp_path / "vid.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(1, 31):
            image = numbered_frame(number)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number if number < 15 else 4 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    facts = scan_video(path)
    assert facts.variable_rate and facts.num_frames == 30
