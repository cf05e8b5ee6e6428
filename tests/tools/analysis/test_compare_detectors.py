"""tools/analysis/compare_detectors.py as a user calls it, on a stock detector."""

import json

import pytest
import torch

from tools.analysis import compare_detectors


@pytest.fixture
def bodies(stock_bodies, monkeypatch):
    monkeypatch.chdir(stock_bodies.folder)
    return stock_bodies


def test_a_detector_is_as_good_as_itself(bodies, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = [bodies.config, str(bodies.checkpoint), str(bodies.checkpoint)]
    options = ["--other-config", bodies.config, "--out", str(out), "--resamples", "9"]
    compare_detectors.main([*arguments, *options])
    shown = capsys.readouterr().out
    assert "20 samples in 20 groups by img_path" in shown and "5 left_shoulder" in shown
    assert "not certainly nearer (+0.0 to +0.0 %)" in shown
    content = json.loads(out.read_text())
    assert shown.splitlines()[-2] == content["verdict"]
    for figures in content["figures"].values():
        assert figures["first"] == figures["second"] > 0
        assert figures["change"] == dict(value=0, low=0, high=0)


def test_another_one_is_told_apart(bodies, tmp_path, capsys):
    content = torch.load(bodies.checkpoint, weights_only=False)
    last = content["state_dict"]["head.final_layer.weight"]
    last.neg_()
    other = tmp_path / "other.pth"
    torch.save(content, other)
    compare_detectors.main([bodies.config, str(bodies.checkpoint), str(other)])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x[:4] == "all "]
    first, second, change = line.split()[1:4]
    assert float(change) != 0 and (float(second) > float(first)) == (float(change) > 0)


def test_errors_come_before_the_predictions(bodies, monkeypatch):
    monkeypatch.setattr(compare_detectors, "predict", None)
    arguments = [bodies.config, str(bodies.checkpoint), "nothing.pth"]
    with pytest.raises(SystemExit, match="no test_dataloader to compare on"):
        options = ["--held-out", "test", "--cfg-options", "test_dataloader=None"]
        compare_detectors.main([*arguments, *options])
    with pytest.raises(SystemExit, match="no 'patient' to make groups of"):
        compare_detectors.main([*arguments, "--group-key", "patient"])
    with pytest.raises(SystemExit, match="1 held-out groups by dataset_name: expected"):
        compare_detectors.main([*arguments, "--group-key", "dataset_name"])
    with pytest.raises(SystemExit, match=r"nothing\.pth"):
        compare_detectors.main(arguments)
