"""tools/analysis/does_it_help.py as a user calls it, on a plain stock detector."""

import json

import pytest

from tools import search_targets
from tools.analysis import does_it_help


@pytest.fixture
def bodies(stock_bodies, monkeypatch):
    monkeypatch.chdir(stock_bodies.folder)
    return [stock_bodies.config, str(stock_bodies.checkpoint), "--views", "2"]


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        does_it_help.main(["--help"])
    assert ended.value.code == 0 and "--folds" in capsys.readouterr().out


def test_held_out_samples_are_compared_with_those_of_training(bodies, tmp_path, capsys):
    out = tmp_path / "figures.json"
    does_it_help.main([*bodies, "--resamples", "10", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "5 left_shoulder" in shown and "Advice: leave it; " in shown
    content = json.loads(out.read_text())
    ratio = content["figures"]["all"]["ratio"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"]
    # After an epoch it knows neither: the same data, in other views.
    assert ratio["value"] == pytest.approx(1, abs=0.05)


def test_cross_fits_samples_are_held_out_ones(bodies, tmp_path, capsys):
    out = tmp_path / "targets.npz"
    search_targets.main([*bodies, "--out", str(out)])
    capsys.readouterr()
    does_it_help.main([*bodies, "--folds", str(out), "--resamples", "3"])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x[:4] == "all "]
    assert line.split()[1] == "1.00"  # the same detector, the same views


def test_too_few_pictures_are_refused(bodies):
    with pytest.raises(SystemExit, match="3 held-out pictures: expected 20"):
        does_it_help.main([*bodies, "--most", "3"])
