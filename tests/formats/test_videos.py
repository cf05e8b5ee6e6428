"""Frames by number: seeking, damage, and a few videos open at a time."""

import os
import pickle
from copy import deepcopy

import numpy as np
import pytest

from semamb_mm.formats.videos import VideoError, VideoFrames, VideoPool, scan_video
from tests.trees.videos import CODECS, SIZE, encode_video, read_number, write_video

pytest.importorskip("av", reason="PyAV reads the videos")


@pytest.mark.parametrize("codec", CODECS)
def test_facts_of_a_whole_video(tmp_path, codec):
    path = tmp_path / "vid.avi"
    encode_video(path, 30, *CODECS[codec])
    facts = scan_video(path)
    assert (facts.num_frames, facts.promised, facts.certain) == (30, 30, 30)
    assert (facts.width, facts.height) == SIZE
    assert facts.seekable and not facts.damaged and not facts.variable_rate
    assert facts.sound == set(range(30))
    reader = VideoFrames(path, facts)
    for number in (29, 0, 13, 14, 12):
        assert read_number(reader.read(number)) == number + 1
    reader.close()


@pytest.mark.parametrize("codec", CODECS)
def test_unwanted_frames_are_passed_over_and_the_others_stay(tmp_path, codec):
    path = tmp_path / "vid.avi"
    encode_video(path, 60, *CODECS[codec])
    facts = scan_video(path)
    assert len(facts.packets) == (60 if "B-frames" in codec else 0)
    whole, sparse = VideoFrames(path, facts), VideoFrames(path, facts, range(0, 60, 6))
    decoded = []
    decode = sparse._decode
    sparse._decode = lambda packets: map(
        lambda frame: decoded.append(0) or frame, decode(packets)
    )
    sparse._begin_anew()
    for number in range(0, 60, 6):
        np.testing.assert_array_equal(sparse.read(number), whole.read(number))
    assert len(decoded) < (50 if len(facts.packets) else 60)
    for number in (30, 6, 54, 48):  # back and forth
        np.testing.assert_array_equal(sparse.read(number), whole.read(number))
    for number in (31, 30, 59):  # not announced
        np.testing.assert_array_equal(sparse.read(number), whole.read(number))


def test_two_decoders_that_pass_over_frames_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "vid.avi"
    encode_video(path, 30, *CODECS["MPEG-4 with B-frames, open"])
    facts = scan_video(path)
    readers = [VideoFrames(path, facts, range(30)) for _ in range(4)]
    turns = np.random.default_rng(0).permuted(np.repeat(np.arange(4), 30))
    for turn, reader in enumerate(turns):
        number = int((turns[:turn] == reader).sum())
        assert read_number(readers[reader].read(number)) == number + 1


def test_a_seek_that_lands_elsewhere_is_noticed(tmp_path):
    path = tmp_path / "vid.avi"
    encode_video(path, 60, *CODECS["MPEG-4 with B-frames, open"])
    facts = scan_video(path)
    facts.keys[1:, 1] += 1  # time stamps that no key frame has
    reader = VideoFrames(path, facts)
    for number in (50, 13, 14, 40):
        assert read_number(reader.read(number)) == number + 1


def test_a_varying_frame_rate_is_seen(tmp_path):
    for number, codec in enumerate(CODECS):
        steady = tmp_path / f"{number}.mkv"
        encode_video(steady, 30, *CODECS[codec])
        assert not scan_video(steady).variable_rate, codec
    path = tmp_path / "vid.mkv"
    stamps = lambda number: number if number < 15 else 4 * number  # noqa: E731
    encode_video(path, 30, *CODECS["MPEG-4"], stamps=stamps)
    facts = scan_video(path)
    assert facts.variable_rate and (facts.num_frames, facts.certain) == (30, 14)


def test_frames_that_are_not_there(tmp_path):
    path = tmp_path / "vid.avi"
    write_video(path, 4)
    reader = VideoFrames(path, scan_video(path))
    for number in (-1, 4):
        with pytest.raises(VideoError, match=rf"frame {number} .* video of 4 frames"):
            reader.read(number)
    with pytest.raises(VideoError, match="absent.avi: no such video"):
        scan_video(tmp_path / "absent.avi")
    path.write_text("not a video")
    with pytest.raises(VideoError, match="not a video that can be opened"):
        scan_video(path)


def test_a_pool_closes_the_least_recently_used(tmp_path):
    paths = [str(tmp_path / f"{name}.avi") for name in "abc"]
    for path in paths:
        write_video(tmp_path / path, 3)
    facts = scan_video(paths[0])
    pool = VideoPool(max_open=2)
    for index in (0, 1, 0, 2):
        assert read_number(pool.read(paths[index], 1, facts)) == 2
    assert list(pool._open) == [paths[0], paths[2]]
    with pytest.raises(ValueError, match="max_open is 0"):
        VideoPool(0)
    for copy in (deepcopy(pool), pickle.loads(pickle.dumps(pool))):
        assert copy.max_open == 2 and not copy._open


def test_another_process_opens_its_own(tmp_path, monkeypatch):
    path = str(tmp_path / "a.avi")
    write_video(tmp_path / "a.avi", 3)
    facts = scan_video(path)
    pool = VideoPool()
    first = pool.read(path, 0, facts)
    before = pool._open[path]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    np.testing.assert_array_equal(pool.read(path, 0, facts), first)
    assert pool._open[path] is not before
