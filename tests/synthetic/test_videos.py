import json

import cv2
import numpy as np
import pytest

from semamb_mm.formats.pts import read_pts
from semamb_mm.pose.datasets import Face300VWVideoDataset
from semamb_mm.synthetic import videos as videos
from semamb_mm.synthetic.annotators import NOISE_PRESETS, AnnotationNoise
from semamb_mm.synthetic.videos import SyntheticVideo, annotate_track, write_video_tree


@pytest.fixture(scope="module")
def clip():
    return SyntheticVideo(seed=3, index=1, num_frames=60, image_size=96)


def eye_distance(keypoints):
    return np.linalg.norm(keypoints[:, 36] - keypoints[:, 45], axis=-1).mean()


def test_same_numbers_same_video(clip):
    again = SyntheticVideo(seed=3, index=1, num_frames=60, image_size=96)
    np.testing.assert_array_equal(clip.keypoints, again.keypoints)
    np.testing.assert_array_equal(clip.frame(7), again.frame(7))
    np.testing.assert_array_equal(clip.annotate(), again.annotate())
    for seed, index in ((3, 0), (4, 1), (1, 3)):
        other = SyntheticVideo(seed, index, num_frames=60, image_size=96)
        assert not np.allclose(clip.keypoints, other.keypoints, atol=1)


@pytest.mark.parametrize("index", range(4))
def test_motion_is_smooth_and_stays_in_the_image(index):
    clip = SyntheticVideo(seed=0, index=index, num_frames=150)
    points = clip.keypoints
    assert points.shape == (150, 68, 2) and points.dtype == np.float32
    assert points.min() > 0.03 * 160 and points.max() < 0.97 * 160
    unit = eye_distance(points)
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) / unit
    jerk = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1) / unit
    assert 0.003 < speed.mean() < 0.03
    assert np.sqrt((jerk**2).mean()) < 0.01
    # It goes somewhere, turns and changes its expression.
    assert np.ptp(points.mean(1), axis=0).max() > 0.05 * unit
    moments = clip.moments
    assert np.ptp([m.angles for m in moments], axis=0).max() > np.deg2rad(8)
    assert np.ptp([m.scale for m in moments]) > 0
    assert np.ptp([m.expression.opening for m in moments]) > 0.02
    assert np.ptp([m.light for m in moments], axis=0).min() > 0.05


def test_eyes_blink_and_open_again():
    clip = SyntheticVideo(seed=0, index=0, num_frames=250)
    lids = np.array([m.expression.lids for m in clip.moments])
    closed = lids < 0.4 * lids.max()
    assert 0 < closed.sum() < 50
    begins = np.flatnonzero(np.diff(closed.astype(int)) == 1)
    assert 1 <= len(begins) <= 12
    heights = np.linalg.norm(clip.keypoints[:, 37] - clip.keypoints[:, 41], axis=-1)
    assert heights[closed].mean() < 0.7 * np.median(heights)


def test_the_person_and_the_camera_stay_the_same(clip):
    """Neighbouring frames differ by motion and sensor noise alone."""
    frames = np.stack([clip.frame(i) for i in (0, 1, 30)]).astype(int)
    corner = frames[:, :8, :8]
    assert 0 < np.abs(corner[0] - corner[1]).mean() < 12
    assert abs(corner[0].mean() - corner[2].mean()) < 3
    other = SyntheticVideo(3, 2, 60, 96).frame(1).astype(int)
    assert np.abs(frames[0] - frames[1]).mean() < 0.4 * np.abs(frames[0] - other).mean()


def test_eyes_are_where_the_landmarks_say_in_every_frame():
    clip = SyntheticVideo(seed=0, index=2, num_frames=60, occlusion=0)
    contrast = {0: [], 9: []}
    for number in range(0, 60, 10):
        grey = cv2.cvtColor(clip.frame(number), cv2.COLOR_BGR2GRAY)
        edges = np.hypot(cv2.Sobel(grey, 5, 1, 0), cv2.Sobel(grey, 5, 0, 1))
        for shift, values in contrast.items():
            at = np.round(clip.keypoints[number, 36:48] + (0, shift)).astype(int)
            values.append(edges[at[:, 1], at[:, 0]].mean())
    assert np.mean(contrast[0]) > 2 * np.mean(contrast[9])


def test_something_hides_the_face_for_a_while():
    hidden = [SyntheticVideo(0, i, 60, 64, occlusion=1) for i in range(3)]
    for clip in hidden:
        there = clip.occluded_frames
        assert 1 <= len(there) <= 20
        assert there.start >= 0 and there.stop <= 60
        clear = SyntheticVideo(0, clip.index, 60, 64, occlusion=0)
        assert len(clear.occluded_frames) == 0
        np.testing.assert_array_equal(clip.keypoints, clear.keypoints)
        inside, outside = there.start, (there.stop + 1) % 60
        assert (clip.frame(inside) != clear.frame(inside)).any()
        np.testing.assert_array_equal(clip.frame(outside), clear.frame(outside))


# the annotator


@pytest.mark.parametrize("share, frames", [(0.0, 5.0), (0.5, 5.0), (1.0, 20.0)])
def test_errors_persist_as_stated(share, frames):
    still = np.repeat(SyntheticVideo(0, 0, 1).keypoints, 2500, axis=0)
    noise = AnnotationNoise(strong=0.01)
    rng = np.random.default_rng(0)
    annotated = annotate_track(still, rng, noise, share, frames)
    errors = ((annotated - still) / eye_distance(still))[:, 31:].reshape(2500, -1)
    assert errors.std() == pytest.approx(0.01, rel=0.03)
    for lag in (1, 4, 12):
        product = (errors[lag:] * errors[:-lag]).mean() / errors.var()
        assert product == pytest.approx(share * np.exp(-lag / frames), abs=0.04)


def test_single_frames_are_as_of_a_single_face():
    """Per frame the spread is :func:`displace`'s, slides along the contour too."""
    clip = SyntheticVideo(0, 0, 400, occlusion=0)
    annotated = clip.annotate("realistic")
    error = (annotated - clip.keypoints) / eye_distance(clip.keypoints)
    rms = np.sqrt((error**2).sum(-1).mean(0))
    noise = NOISE_PRESETS["realistic"]
    assert rms[:17].mean() == pytest.approx(
        np.hypot(noise.contour_along, noise.contour_across), rel=0.15
    )
    assert rms[31:].mean() == pytest.approx(noise.strong * 2**0.5, rel=0.1)
    np.testing.assert_array_equal(clip.annotate("none"), clip.keypoints)


# files


def write(folder, **changes):
    options = dict(num_videos=2, num_frames=6, image_size=64, seed=1)
    return list(write_video_tree(folder, **dict(options, **changes)))


def test_a_tree_is_read_as_300_vw(tmp_path):
    pytest.importorskip("av", reason="PyAV reads the videos")
    assert write(tmp_path / "tree") == ["s000", "s001"]
    dataset = Face300VWVideoDataset(str(tmp_path / "tree"), ids=["s000", "s001"])
    assert len(dataset) == 12
    for position in (0, 5, 9):
        info = dataset[position]
        clip = SyntheticVideo(1, position // 6, 6, 64)
        assert info["sample_key"] == f"s00{position // 6}/{position % 6 + 1:06d}"
        np.testing.assert_allclose(
            info["keypoints"][0], clip.annotate()[position % 6], atol=1e-3
        )
        truth = read_pts(tmp_path / "tree" / f"{info['sample_key'][:5]}truth"
                         f"/{position % 6 + 1:06d}.pts")  # fmt: skip
        np.testing.assert_allclose(truth, clip.keypoints[position % 6], atol=1e-3)
        drawn = clip.frame(position % 6).astype(int)
        assert np.abs(info["img"] - drawn).mean() < 6


def test_a_stopped_tree_goes_on(tmp_path, monkeypatch):
    write(tmp_path / "whole")
    unhindered = videos._write_video

    def stop_at_the_second(video, annotations, folder):
        if video.index == 1:
            monkeypatch.setattr(video, "frame", lambda number: 1 / 0)
        unhindered(video, annotations, folder)

    monkeypatch.setattr(videos, "_write_video", stop_at_the_second)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "tree")
    names = sorted(p.name for p in (tmp_path / "tree").iterdir())
    assert names == ["s000", "synthetic.json"]
    monkeypatch.undo()
    write(tmp_path / "tree")
    for path in (tmp_path / "whole").rglob("*.*"):
        copy = tmp_path / "tree" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == copy.read_bytes(), path


def test_another_tree_in_the_same_folder_is_refused(tmp_path):
    write(tmp_path)
    assert json.loads((tmp_path / "synthetic.json").read_text())["seed"] == 1
    with pytest.raises(ValueError, match="synthetic.json.*seed=1, not 2"):
        write(tmp_path, seed=2)
    assert write(tmp_path, num_videos=3) == ["s000", "s001", "s002"]


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(seed=-1), "seed"),
        (dict(num_frames=0), "num_frames"),
        (dict(image_size=65), "even"),
        (dict(image_size=16), "32"),
        (dict(fps=0), "fps"),
        (dict(occlusion=2), "occlusion"),
        (dict(num_videos=0), "num_videos"),
        (dict(drift_share=1.2), "drift_share"),
        (dict(drift_frames=0), "drift_frames"),
        (dict(noise="loud"), "loud"),
    ],
)
def test_bad_numbers_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, **change)
    assert not list(tmp_path.rglob("*.avi"))
