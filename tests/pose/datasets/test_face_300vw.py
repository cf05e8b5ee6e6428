import json
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from semamb_mm.formats import videos as video_frames
from semamb_mm.formats.images import BadImageError
from semamb_mm.formats.pts import PtsError, write_pts
from semamb_mm.formats.videos import VideoError, VideoFrames, scan_video
from semamb_mm.pose.datasets import Face300VWFrameDataset, Face300VWVideoDataset
from semamb_mm.pose.latent_targets.samples import build_store
from tests import ROOT
from tests.pose.conftest import tiny_config
from tests.trees.videos import (
    CODECS,
    damage_packet,
    encode_video,
    extract,
    landmarks,
    packet_place,
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


def check_all(dataset):
    """In order and shuffled."""
    order = list(range(len(dataset)))
    for index in (*order, *random.Random(0).sample(order, len(order))):
        check_frame(dataset[index])


@pytest.mark.parametrize("codec", ["MJPG", "XVID", *CODECS])
def test_every_frame_meets_its_annotation(tmp_path, codec, caplog):
    if codec in CODECS:
        encode_video(tmp_path / "001/vid.avi", 75, *CODECS[codec])
        write_annotations(tmp_path / "001/annot", range(1, 76))
    else:
        write_tree(tmp_path, {"001": 75}, codec)
    dataset = build(tmp_path, ["001"])
    assert len(dataset) == 75
    assert dataset._videos[0].facts.seekable and not dataset._videos[0].notes
    check_all(dataset)


def test_xvid_with_two_frames_a_packet_meets_its_annotation(tmp_path):
    # Written by Xvid itself: a P and a B-frame in one packet, then an empty one.
    write_annotations(tmp_path / "001/annot", range(1, 56))
    packed = ROOT / "tests/trees/xvid_packed.avi"
    shutil.copy(packed, tmp_path / "001/vid.avi")
    dataset = build(tmp_path, ["001"])
    assert dataset._videos[0].facts.keys[:, 0].tolist() == [0, 15, 30, 45]
    check_all(dataset)


def test_h264_without_key_frames_is_read_from_the_start(tmp_path):
    options = {"x264-params": "intra-refresh=1:keyint=23:bframes=0"}
    encode_video(tmp_path / "001/vid.avi", 260, "libx264", options)
    write_annotations(tmp_path / "001/annot", range(1, 261))
    dataset = build(tmp_path, ["001"])
    assert "reading cannot begin in the middle" in dataset._videos[0].notes[0]
    for index in (200, 30, 31, 250):
        check_frame(dataset[index])


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
    check_frame(first[2])
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
    check_frame({**copy.get_data_info(50), "img": copy.read_frame(50)})


def test_it_keeps_few_videos_open(tree):
    dataset = build(tree, max_open=1)
    for index in (0, 40, 1, 41):
        check_frame(dataset[index])
    assert len(dataset._pool._open) == 1


def test_freed_memory_is_given_back(tree, monkeypatch):
    trimmed = []
    monkeypatch.setattr(video_frames, "_malloc_trim", trimmed.append)
    dataset = build(tree)
    for index in range(400):
        dataset[index % 65]
    assert trimmed == [0, 0]


def test_annotations_alone_decode_no_frame(tree, monkeypatch):
    dataset = build(tree)
    monkeypatch.setattr(dataset._pool, "read", None)
    info = dataset.get_data_info(41)
    assert info["sample_key"] == "002/000002" and "img" not in info


def test_the_store_reads_no_frame(tree, monkeypatch):
    dataset = build(tree)
    monkeypatch.setattr(dataset._pool, "read", None)
    store = build_store(dataset)
    assert len(store.index) == 65 and store.index["002/000001"] == 40


def test_a_subset_wants_its_frames_alone(tree):
    dataset = build(tree, indices=range(0, 65, 8))
    assert [frames.tolist() for frames in dataset._wanted_frames()] == [
        [*range(0, 40, 8)],
        [*range(0, 25, 8)],
    ]
    dataset.get_subset_([6, 0])
    assert [len(frames) for frames in dataset._wanted_frames()] == [1, 1]
    check_all(dataset)


def forbid_scanning(monkeypatch):
    monkeypatch.setattr(
        "semamb_mm.formats.index_300vw.scan_video",
        lambda path: pytest.fail("scanned again"),
    )


def test_latent_targets_are_searched_for_videos(tree, tmp_path, make_runner):
    dataset = dict(
        _delete_=True,
        type="Face300VWVideoDataset",
        data_root=str(tree),
        ids=["001", "002"],
        stride=9,
        pipeline=tiny_config(tmp_path).train_dataloader.dataset.pipeline,
    )
    runner = make_runner(train_dataloader=dict(dataset=dataset, num_workers=1))
    runner.train()
    store = next(h.store for h in runner.hooks if hasattr(h, "store"))
    assert len(store.index) == len(runner.train_dataloader.dataset) == 8
    assert store.index["002/000001"] == 5
    assert (store.counts > 0).any(1).all() and (
        store.targets != store.annotations
    ).any()


def test_the_index_is_built_once(tmp_path, monkeypatch):
    write_tree(tmp_path, {"001": 6})
    build(tmp_path, ["001"])
    forbid_scanning(monkeypatch)
    check_all(build(tmp_path, ["001"]))


def test_a_replaced_annotation_or_video_is_noticed(tmp_path):
    write_tree(tmp_path, {"001": 6})
    build(tmp_path, ["001"])
    moved = landmarks(3) + 1
    write_pts(tmp_path / "001/annot/000003.pts", moved)
    info = build(tmp_path, ["001"]).get_data_info(2)
    assert np.allclose(info["keypoints"][0], moved, atol=1e-3)
    write_video(tmp_path / "001/vid.avi", 7)
    with pytest.raises(PtsError, match=r"1 frames without a .pts file .*\(000007\)"):
        build(tmp_path, ["001"])
    write_annotations(tmp_path / "001/annot", [7])
    assert len(build(tmp_path, ["001"])) == 7


def test_an_annotation_edited_in_place_is_noticed(tmp_path, monkeypatch):
    write_tree(tmp_path, {"001": 6})
    before = build(tmp_path, ["001"])
    path = tmp_path / "001/annot/000003.pts"
    path.write_text(path.read_text().replace("3.500", "4.500", 1))
    os.utime(path, ns=(1, 1))  # however coarse the clock
    forbid_scanning(monkeypatch)
    for dataset in (before, build(tmp_path, ["001"])):
        assert dataset.get_data_info(2)["keypoints"][0, 0, 0] == 4.5
        check_frame(dataset[3])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    write_tree(tmp_path, {"001": 3})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="index cannot be written.*cache_dir"):
        build(tmp_path, ["001"], cache_dir=str(tmp_path / "file" / "below"))


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
        build(tree, ["001"], boxes=str(path))
    # Frames that are not taken need none.
    assert len(build(tree, ["001"], boxes=str(path), stride=7)) == 6


def test_the_fixture_frames_are_mmposes(tmp_path):
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
    ours = Face300VWFrameDataset(
        str(root), ids=["001", "401"], leave_out_broken=False, cache_dir=str(tmp_path)
    )
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
    with pytest.raises(FileNotFoundError, match="fix data_root"):
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
        check_frame(dataset[index])


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


@pytest.mark.parametrize("codec", ["MJPEG", "MPEG-4", "H.264 with B-frames"])
def test_a_truncated_video(tmp_path, codec):
    path = tmp_path / "001/vid.avi"
    encode_video(path, 60, *CODECS[codec])
    write_annotations(tmp_path / "001/annot", range(1, 61))
    path.write_bytes(path.read_bytes()[: packet_place(path, 40)[0]])
    with pytest.raises(VideoError, match=r"promises 60 frames, but only \d+ can be"):
        build(tmp_path, ["001"])
    dataset = build(tmp_path, ["001"], on_mismatch="skip")
    assert 30 < len(dataset) <= 40
    check_all(dataset)


@pytest.mark.parametrize(
    "codec, last",
    [
        # The decoder gives fewer frames, without an error.
        ("MPEG-4", 30),
        ("MPEG-4 with B-frames, open", 28),
        ("H.264 with B-frames", 27),
        # Here it stops with one.
        ("MJPEG", 30),
    ],
)
def test_frames_lost_in_the_middle_shift_nothing(tmp_path, codec, last):
    path = tmp_path / "001/vid.avi"
    encode_video(path, 60, *CODECS[codec])
    write_annotations(tmp_path / "001/annot", range(1, 61))
    damage_packet(path, 30)
    with pytest.raises(VideoError, match=f"only .* certain up to {last:06d}"):
        build(tmp_path, ["001"])
    dataset = build(tmp_path, ["001"], on_mismatch="skip")
    assert len(dataset) == last
    check_all(dataset)


def test_damaged_frames_and_those_made_from_them_are_left_out(tmp_path):
    path = tmp_path / "001/vid.avi"
    encode_video(path, 60, *CODECS["MPEG-4"])
    write_annotations(tmp_path / "001/annot", range(1, 61))
    with open(path, "r+b") as file:
        file.seek(packet_place(path, 30)[0])
        file.write(bytes(8))  # the decoder makes up a picture
    with pytest.raises(VideoError, match=r"6 damaged frames \(000031, .*54 frames"):
        build(tmp_path, ["001"])
    dataset = build(tmp_path, ["001"], on_mismatch="skip")
    numbers = [dataset.get_data_info(i)["frame_number"] for i in range(len(dataset))]
    assert numbers == [*range(1, 31), *range(37, 61)]
    check_all(dataset)
    with pytest.raises(VideoError, match=r"frame 30 \(from 0\) is damaged"):
        VideoFrames(path, scan_video(path)).read(30)


def test_gaps_in_a_video_shift_nothing(tmp_path):
    path = tmp_path / "001/vid.avi"
    stamps = lambda number: number - 1 if number < 30 else number + 2  # noqa: E731
    encode_video(path, 60, *CODECS["MPEG-4"], stamps=stamps)
    # Whoever repeats frames to fill the gap counts three more.
    write_annotations(tmp_path / "001/annot", range(1, 64))
    with pytest.raises(VideoError, match="promises 63 frames, but only 60"):
        build(tmp_path, ["001"])
    dataset = build(tmp_path, ["001"], on_mismatch="skip")
    assert len(dataset) == 29
    check_all(dataset)
    for number in (61, 62, 63):
        (tmp_path / f"001/annot/{number:06d}.pts").unlink()
    dataset = build(tmp_path, ["001"])
    assert len(dataset) == 60 and "frame rate varies" in dataset._videos[0].notes[1]
    check_all(dataset)


def test_no_video_and_not_a_video(tmp_path):
    write_annotations(tmp_path / "001/annot", [1])
    with pytest.raises(VideoError, match="no such video"):
        build(tmp_path, ["001"])
    (tmp_path / "001/vid.avi").write_text("not a video")
    with pytest.raises(VideoError, match="vid.avi: not a video"):
        build(tmp_path, ["001"])


def test_what_is_wrong_is_said_each_time(tmp_path, monkeypatch):
    write_tree(tmp_path, {"001": 12})
    (tmp_path / "001/annot/000005.pts").unlink()
    said = []
    monkeypatch.setattr(
        Face300VWVideoDataset, "_warn", lambda self, text: said.append(text)
    )
    for _ in range(2):
        build(tmp_path, ["001"], on_mismatch="skip")
    assert len(said) == 2 and said[0] == said[1]
    assert "1 frames without a .pts file" in said[0] and "11 frames are used" in said[0]
    with pytest.raises(PtsError):  # the index of what was skipped is not for all
        build(tmp_path, ["001"])


@pytest.mark.parametrize("ids", [["001", "001"], []])
def test_videos_named_twice_or_not_at_all(tree, ids):
    with pytest.raises(ValueError, match="ids is .*each once"):
        build(tree, ids)


def test_without_pyav(tree, tmp_path, monkeypatch):
    write_tree(tmp_path, {"001": 3})
    extract(tmp_path, "001", range(1, 4))
    monkeypatch.setattr(video_frames, "av", None)
    with pytest.raises(ImportError, match="needs PyAV: pip install av"):
        build(tmp_path, ["001"])
    frames = Face300VWFrameDataset(str(tmp_path), ids=["001"])
    assert frames[0]["frame_number"] == 1


# frames that go bad in a long run


def rotten(tmp_path, **kwargs):
    """A data set whose frames 31 to 40 went bad after it was opened."""
    path = tmp_path / "001/vid.avi"
    encode_video(path, 75, *CODECS["H.264 with B-frames"])
    write_annotations(tmp_path / "001/annot", range(1, 76))
    dataset = build(tmp_path, ["001"], **kwargs)
    damage_packet(path, 30)
    return dataset


def test_a_frame_gone_bad_is_an_error(tmp_path):
    dataset = rotten(tmp_path)
    with pytest.raises(VideoError, match="vid.avi: frame .*on_bad_image='skip'"):
        dataset.prepare_data(35)
    check_frame(dataset.prepare_data(50))


def test_a_frame_gone_bad_is_an_error_in_tests_always(tmp_path):
    dataset = rotten(tmp_path, test_mode=True, on_bad_image="skip")
    with pytest.raises(VideoError, match="vid.avi: frame"):
        dataset[35]


def test_frames_gone_bad_are_skipped_and_counted(tmp_path, monkeypatch):
    dataset = rotten(tmp_path, on_bad_image="skip")
    said = []
    monkeypatch.setattr(dataset, "_warn", said.append)
    for _ in range(2):
        bad = [i for i in range(75) if dataset.prepare_data(i) is None]
        assert 30 in bad and set(bad) <= set(range(25, 40))
    assert len(said) == len(bad) and f"({len(bad)} so far)" in said[-1]
    for index in set(range(75)) - set(bad):
        check_frame(dataset.prepare_data(index))
    assert dataset[bad[0]]["frame_number"] - 1 not in bad  # another one


def test_a_video_that_vanishes_and_comes_back(tmp_path):
    write_tree(tmp_path, {"001": 6, "002": 6})
    dataset = build(tmp_path, max_open=1)
    path = tmp_path / "001/vid.avi"
    check_frame(dataset[0])
    check_frame(dataset[6])
    path.rename(tmp_path / "away.avi")
    with pytest.raises(VideoError, match="001/vid.avi: no such video"):
        dataset[1]
    (tmp_path / "away.avi").rename(path)
    check_frame(dataset[1])


def test_an_extracted_frame_cut_short(tmp_path, monkeypatch):
    write_annotations(tmp_path / "001/annot", range(1, 5))
    extract(tmp_path, "001", range(1, 5), suffix=".jpg")
    path = tmp_path / "001/imgs/000002.jpg"
    path.write_bytes(path.read_bytes()[:900])
    dataset = Face300VWFrameDataset(str(tmp_path), ids=["001"], on_bad_image="skip")
    said = []
    monkeypatch.setattr(dataset, "_warn", said.append)
    found = [dataset.prepare_data(index) is not None for index in range(4)]
    assert found == [True, False, True, True] and len(said) == 1
    strict = Face300VWFrameDataset(str(tmp_path), ids=["001"])
    with pytest.raises(BadImageError, match="000002.jpg.*cannot be read in full"):
        strict.prepare_data(1)
