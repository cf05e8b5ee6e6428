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
    targets = torch.from_numpy(rng.standard_normal((len(rows), landmarks, 2)))
    targets = targets + 5 * frames[:, None, None]
    visible = torch.from_numpy(rng.random((len(rows), landmarks)) > 0.1)
    return targets, sequences, frames, visible


def reference(targets, sequences, frames, visible, window):
    """Sample by sample, a weighted polynomial fit of all frames in reach."""
    result = targets.clone()
    for i in range(len(targets)):
        for k in range(targets.shape[1]):
            near = [
                j
                for j in range(len(targets))
                if sequences[j] == sequences[i]
                and abs(int(frames[j] - frames[i])) <= window
                and visible[j, k]
            ]
            if not visible[i, k] or len(near) < 4:
                continue
            times = np.array([int(frames[j] - frames[i]) for j in near], float)
            weights = (1 - np.abs(times / (window + 1)) ** 3) ** 3
            for axis in (0, 1):
                values = targets[near, k, axis].numpy()
                fit = np.polyfit(times, values, 2, w=np.sqrt(weights))
                result[i, k, axis] = fit[2]
    return result


@pytest.mark.parametrize("window", [0, 2, 5, 9])
@pytest.mark.parametrize("chunk", [7, 10000])
def test_equals_the_loop(window, chunk, monkeypatch):
    monkeypatch.setattr(temporal, "CHUNK", chunk)
    targets, sequences, frames, visible = shuffled()
    found = temporal_targets(targets, sequences, frames, window=window, visible=visible)
    expected = reference(targets, sequences, frames, visible, window)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(found, targets) == (window == 0)


@given(
    seed=st.integers(0, 2**31 - 1),
    length=st.integers(1, 12),
    window=st.integers(0, 15),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=60, deadline=None)
def test_what_always_holds(seed, length, window, dtype):
    targets, sequences, frames, visible = shuffled(seed, 2, length, 3, missing=0.0)
    targets = targets.to(dtype)

    def smooth(points, order=slice(None)):
        return temporal_targets(
            points[order],
            sequences[order],
            frames[order],
            window=window,
            visible=visible[order],
        )

    found = smooth(targets)
    tolerance = dict(rtol=1e-4, atol=1e-3) if dtype == torch.float32 else {}
    assert found.dtype == dtype and found.isfinite().all()
    if window < 2 or length < 4:
        assert torch.equal(found, targets)
    # The order of the rows does not matter.
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(smooth(targets, order), found[order], **tolerance)
    # Moved, turned, scaled, and accelerated together.
    turn = targets.new_tensor([[0.6, -0.8], [0.8, 0.6]])
    moved = targets @ turn * 3 + targets.new_tensor([7, -5])
    expected = found @ turn * 3 + targets.new_tensor([7, -5])
    torch.testing.assert_close(smooth(moved), expected, **tolerance)
    path = (0.3 * frames**2 - 2 * frames).to(dtype)[:, None, None]
    torch.testing.assert_close(smooth(targets + path), found + path, **tolerance)


def test_paths_without_noise_stay_and_slips_are_taken_back():
    time = torch.arange(60)
    path = torch.stack((4 * torch.sin(time / 10), 2.0 * time), -1)[:, None].double()
    same = torch.zeros(60, dtype=torch.long)
    torch.testing.assert_close(
        temporal_targets(path, same, time), path, rtol=0, atol=5e-3
    )
    torch.manual_seed(0)
    noisy = path + torch.randn(path.shape)
    found = temporal_targets(noisy, same, time)
    assert (found - path).square().mean() < 0.45 * (noisy - path).square().mean()
    jitter = [(p - path).diff(n=2, dim=0).square().mean() for p in (found, noisy)]
    assert jitter[0] < 0.05 * jitter[1]


def test_videos_do_not_mix_and_gaps_are_not_bridged():
    time = torch.arange(10)
    frames = torch.cat((time, time, time + 100))
    sequences = torch.tensor([0] * 10 + [1] * 10 + [0] * 10)
    targets = torch.randn(30, 2, 2, generator=torch.Generator().manual_seed(1))
    together = temporal_targets(targets, sequences, frames)
    for part in (slice(0, 10), slice(10, 20), slice(20, 30)):
        alone = temporal_targets(targets[part], sequences[part], frames[part])
        torch.testing.assert_close(together[part], alone)
    # Every fifth frame: each has its window to itself.
    apart = temporal_targets(targets[:10], sequences[:10], 5 * time)
    assert torch.equal(apart, targets[:10])


def test_invisible_landmarks_stay_and_count_nowhere():
    targets, sequences, frames, visible = shuffled()
    plain = temporal_targets(targets, sequences, frames, visible=visible)
    spoiled = torch.where(visible[..., None], targets, torch.nan)
    found = temporal_targets(spoiled, sequences, frames, visible=visible)
    torch.testing.assert_close(found[visible], plain[visible])
    assert found[~visible].isnan().all()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(targets=torch.zeros(5, 3)), "targets must be"),
        (dict(sequences=torch.zeros(4, dtype=torch.long)), r"sequences must be \(5,\)"),
        (dict(frames=torch.arange(5.0)), "frames must be.*float32"),
        (dict(visible=torch.ones(5)), "visible must be"),
        (dict(window=-1), "window.*-1"),
        (dict(window=2.5), "window.*2.5"),
        (dict(frames=torch.tensor([0, 1, 7, 3, 7])), "samples 2 and 4.*frame 7"),
        (dict(targets=torch.full((5, 3, 2), torch.inf)), "sample 0, landmark 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = dict(
        targets=torch.zeros(5, 3, 2),
        sequences=torch.zeros(5, dtype=torch.long),
        frames=torch.arange(5),
    )
    with pytest.raises(ValueError, match=message):
        temporal_targets(**dict(arguments, **change))
