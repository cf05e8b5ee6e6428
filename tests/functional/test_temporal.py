"""Temporal targets against loops, and on paths that are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import temporal, temporal_targets


def shuffled(seed=0, videos=3, length=30, landmarks=4, missing=0.2):
    """Noisy tracks with gaps, rows in any order, and which landmarks are visible."""
    rng = np.random.default_rng(seed)
    rows = [(v, t) for v in range(videos) for t in range(length)]
    rows = [rows[i] for i in rng.permutation(len(rows)) if rng.random() > missing]
    sequences, frames = (torch.tensor(column) for column in zip(*rows))
    tracks = torch.from_numpy(rng.standard_normal((3, len(rows), landmarks, 2)))
    motion = torch.from_numpy(rng.standard_normal((len(rows), landmarks, 2)))
    tracks = tracks + 0.7 * motion + 5 * frames[:, None, None]
    visible = torch.from_numpy(rng.random((len(rows), landmarks)) > 0.1)
    return tracks, sequences, frames, visible


def parabola(track, sequences, frames, visible, window):
    """Sample by sample, a weighted polynomial fit of all frames in reach."""
    result = track.clone()
    for i in range(len(track)):
        for k in range(track.shape[1]):
            near = [
                j
                for j in range(len(track))
                if sequences[j] == sequences[i]
                and abs(int(frames[j] - frames[i])) <= window
                and visible[j, k]
            ]
            if not visible[i, k] or len(near) < 4:
                continue
            times = np.array([int(frames[j] - frames[i]) for j in near], float)
            weights = (1 - np.abs(times / (window + 1)) ** 3) ** 3
            for axis in (0, 1):
                values = track[near, k, axis].numpy()
                fit = np.polyfit(times, values, 2, w=np.sqrt(weights))
                result[i, k, axis] = fit[2]
    return result


def reference(tracks, sequences, frames, visible, window):
    """Landmark by landmark: parabolas, and what of the rest is motion."""
    smooth = [parabola(t, sequences, frames, visible, window) for t in tracks]
    result = tracks[0].clone()
    for k in range(result.shape[1]):
        z, o, p = (t[:, k] - s[:, k] for t, s in zip(tracks, smooth))
        share = float((o * p).sum() / (z * z).sum()) if z.any() else 0.0
        result[:, k] = smooth[0][:, k] + min(max(share, 0.0), 1.0) * z
    return result


@pytest.mark.parametrize("window", [0, 2, 5, 9])
@pytest.mark.parametrize("chunk", [7, 10000])
def test_equals_the_loop(window, chunk, monkeypatch):
    monkeypatch.setattr(temporal, "CHUNK", chunk)
    tracks, sequences, frames, visible = shuffled()
    targets = temporal_targets(
        *tracks, sequences, frames, window=window, visible=visible
    )
    expected = reference(tracks, sequences, frames, visible, window)
    torch.testing.assert_close(targets, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(targets, tracks[0]) == (window == 0)


@given(
    seed=st.integers(0, 2**31 - 1),
    length=st.integers(1, 12),
    window=st.integers(0, 15),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=60, deadline=None)
def test_what_always_holds(seed, length, window, dtype):
    tracks, sequences, frames, visible = shuffled(seed, 2, length, 3, missing=0.0)
    tracks = tracks.to(dtype)

    def smooth(points, order=slice(None)):
        return temporal_targets(
            *points[:, order],
            sequences[order],
            frames[order],
            window=window,
            visible=visible[order],
        )

    targets = smooth(tracks)
    tolerance = dict(rtol=1e-3, atol=1e-2) if dtype == torch.float32 else {}
    assert targets.dtype == dtype and targets.isfinite().all()
    if window < 2 or length < 4:
        assert torch.equal(targets, tracks[0])
    # Targets stay within reach of both, the track and its parabola.
    plain = temporal_targets(
        tracks[0], tracks[1], -tracks[1], sequences, frames, window=window,
        visible=visible,
    )  # fmt: skip
    moved, limit = (targets - tracks[0]).norm(), (plain - tracks[0]).norm()
    assert moved <= 1.001 * limit + 1e-3
    # The order of the rows does not matter.
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(smooth(tracks, order), targets[order], **tolerance)
    # Moved, turned, scaled, and accelerated together.
    turn = tracks.new_tensor([[0.6, -0.8], [0.8, 0.6]])
    shift = tracks.new_tensor([7, -5])
    expected = targets @ turn * 3 + shift
    torch.testing.assert_close(smooth(tracks @ turn * 3 + shift), expected, **tolerance)
    path = (0.3 * frames.double() ** 2 - 2 * frames).to(dtype)[:, None, None]
    torch.testing.assert_close(smooth(tracks + path), targets + path, **tolerance)


def errors(path, seed=0):
    """A path with independent errors, twice, and the targets made of it."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, *path.shape, generator=generator, dtype=path.dtype)
    observed, found = path + noise
    time = torch.arange(len(path))
    targets = temporal_targets(observed, observed, found, torch.zeros_like(time), time)
    return observed, targets


def power(points):
    return float(points.square().mean())


def test_slips_on_a_smooth_path_are_taken_back():
    time = torch.arange(400)
    path = torch.stack((4 * torch.sin(time / 10), 2.0 * time), -1)[:, None].double()
    observed, targets = errors(path)
    assert power(targets - path) < 0.45 * power(observed - path)
    jitter = [power((p - path).diff(n=2, dim=0)) for p in (targets, observed)]
    assert jitter[0] < 0.05 * jitter[1]


def test_fast_motion_is_kept():
    """Where the face moves faster than parabolas, little is smoothed."""
    time = torch.arange(400)
    path = torch.stack((9 * torch.sin(time / 1.2), 2.0 * time), -1)[:, None].double()
    observed, targets = errors(path)
    assert power(targets - path) < 1.02 * power(observed - path)
    assert power(targets - observed) < 0.25
    # Only the landmark that moves so.
    both = torch.cat((path, path * torch.tensor([0.0, 1.0])), 1)
    observed, targets = errors(both)
    assert power((targets - both)[:, 1]) < 0.45 * power((observed - both)[:, 1])


def test_where_annotation_and_search_agree_nothing_moves():
    tracks, sequences, frames, visible = shuffled()
    same = tracks[0]
    targets = temporal_targets(same, same, same, sequences, frames, visible=visible)
    torch.testing.assert_close(targets, same)


def test_videos_do_not_mix_and_gaps_are_not_bridged():
    time = torch.arange(10)
    frames = torch.cat((time, time, time + 100))
    sequences = torch.tensor([0] * 10 + [1] * 10 + [0] * 10)
    generator = torch.Generator().manual_seed(1)
    targets = torch.randn(30, 2, 2, generator=generator)
    tracks = (targets, targets, -targets)  # no motion in common
    together = temporal_targets(*tracks, sequences, frames)
    for part in (slice(0, 10), slice(10, 20), slice(20, 30)):
        alone = temporal_targets(
            *(t[part] for t in tracks), sequences[part], frames[part]
        )
        torch.testing.assert_close(together[part], alone)
        assert (alone != targets[part]).all()
    # Every sixth frame: each has its window to itself.
    apart = temporal_targets(*(t[:10] for t in tracks), sequences[:10], 6 * time)
    assert torch.equal(apart, targets[:10])


def test_invisible_landmarks_stay_and_count_nowhere():
    tracks, sequences, frames, visible = shuffled()
    plain = temporal_targets(*tracks, sequences, frames, visible=visible)
    spoiled = torch.where(visible[..., None], tracks, torch.nan)
    targets = temporal_targets(*spoiled, sequences, frames, visible=visible)
    torch.testing.assert_close(targets[visible], plain[visible])
    assert targets[~visible].isnan().all()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(targets=torch.zeros(5, 3)), "targets must be"),
        (dict(observed=torch.zeros(5, 2, 2)), "observed must be"),
        (dict(found=torch.zeros(4, 3, 2)), "found must be"),
        (dict(sequences=torch.zeros(4, dtype=torch.long)), r"sequences must be \(5,\)"),
        (dict(frames=torch.arange(5.0)), "frames must be.*float32"),
        (dict(visible=torch.ones(5)), "visible must be"),
        (dict(window=-1), "window.*-1"),
        (dict(window=2.5), "window.*2.5"),
        (dict(frames=torch.tensor([0, 1, 7, 3, 7])), "samples 2 and 4.*frame 7"),
        (dict(found=torch.full((5, 3, 2), torch.inf)), "found of sample 0, landmark 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = dict(
        targets=torch.zeros(5, 3, 2),
        observed=torch.zeros(5, 3, 2),
        found=torch.zeros(5, 3, 2),
        sequences=torch.zeros(5, dtype=torch.long),
        frames=torch.arange(5),
    )
    with pytest.raises(ValueError, match=message):
        temporal_targets(**dict(arguments, **change))
