"""tools/search_targets.py as a user calls it, then the stock training on its file."""

import numpy as np
import pytest
import torch

from semamb_mm.pose.finished import search
from semamb_mm.pose.latent_targets import read_targets
from tests.tools.conftest import BODIES
from tools import search_targets, train


@pytest.fixture
def bodies(stock_bodies, monkeypatch):
    monkeypatch.chdir(stock_bodies.folder)
    return stock_bodies


def command(trained, out, *more):
    return [trained.config, str(trained.checkpoint), "--out", str(out), *more]


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        search_targets.main(["--help"])
    assert ended.value.code == 0 and "--views" in capsys.readouterr().out


def test_a_plain_stock_detector_makes_targets_that_a_stock_training_begins_on(
    bodies, tmp_path, capsys
):
    out = tmp_path / "targets.npz"
    search_targets.main(command(bodies, out, "--views", "3"))
    shown = capsys.readouterr().out
    assert "mean_move" in shown and "left_shoulder" in shown
    assert sorted(p.name for p in tmp_path.iterdir()) == ["targets.npz"]
    saved = read_targets(out)
    assert len(saved.keys) == BODIES and saved.targets.shape[1] == 17
    hidden = saved.counts[saved.keys.index("coco/000000000001.jpg#1")] == 0
    assert hidden[::3].all()
    seen = saved.counts > 0
    assert saved.counts[1:].float().mean() > 2  # RandomHalfBody leaves landmarks out
    assert (saved.found != saved.annotations).any(-1)[seen].all()
    assert (saved.spread[saved.counts > 1][:, :2] > 0).all()

    # Consensus trusts a network of one epoch with nothing: move them by hand.
    arrays = dict(np.load(out))
    arrays["targets"] = arrays["targets"] + np.float32(1)
    np.savez(out, **arrays)
    train.main(
        [bodies.config, "--targets", str(out), "--no-validate"]
        + ["--work-dir", str(tmp_path / "again")]
    )
    state = torch.load(tmp_path / "again/epoch_1.pth", weights_only=True)
    moved = state["latent_targets"]["targets"] - saved.annotations
    expected = torch.ones_like(moved)
    expected[0, ::3] = 0
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)


def test_a_stopped_search_goes_on_and_gives_the_same(bodies, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    search_targets.main(command(bodies, whole, "--views", "2"))
    searched = []
    call = search.FinishedSearch.__call__

    def stopping(self, seed, view, rows=None):
        searched.append(view)
        if searched == [0, 1]:
            raise KeyboardInterrupt
        return call(self, seed, view, rows)

    monkeypatch.setattr(search.FinishedSearch, "__call__", stopping)
    with pytest.raises(KeyboardInterrupt):
        search_targets.main(command(bodies, parts, "--views", "2"))
    assert not parts.exists()
    with pytest.raises(SystemExit, match="begun with another seed"):
        search_targets.main(command(bodies, parts, "--views", "2", "--seed", "1"))
    search_targets.main(command(bodies, parts, "--views", "2"))
    assert searched == [0, 1, 1]
    one, other = (np.load(path) for path in (whole, parts))
    for name in one.files:
        assert np.array_equal(one[name], other[name]), name


def test_what_is_found_depends_on_the_sample_alone(bodies, tmp_path):
    """Not on those that share its batch."""
    found = []
    for number, more in enumerate((["--batch-size", "1"], ["--batch-size", "8"])):
        out = tmp_path / f"{number}.npz"
        search_targets.main(command(bodies, out, "--views", "1", *more))
        found.append(read_targets(out).found)
    torch.testing.assert_close(*found, rtol=0, atol=1e-3)


def test_an_aligned_detectors_own_options_count(trained_faces, tmp_path, capsys):
    out = tmp_path / "targets.npz"
    more = ["--views", "2", "--cfg-options", *trained_faces.options]
    search_targets.main(
        [trained_faces.config, str(trained_faces.checkpoint), "--out", str(out), *more]
    )
    shown = capsys.readouterr().out
    assert "contour" in shown and "target_rms" in shown
    assert '"sliding"' in read_targets(out).made_by


def test_set_ups_that_cannot_work_are_told_first(bodies, tmp_path):
    head = ["--cfg-options", "model.head.type=RegressionHead"]
    with pytest.raises(SystemExit, match="cannot search model.head.type='Regression"):
        search_targets.main(command(bodies, tmp_path / "a.npz", *head))
    hook = ["--hook-of", bodies.config]
    with pytest.raises(SystemExit, match="mine.py has no LatentTargetHook"):
        search_targets.main(command(bodies, tmp_path / "a.npz", *hook))
