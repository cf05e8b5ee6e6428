"""tools/analysis/choose_ghcu_threshold.py as a user calls it."""

import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model

from tests.small_detector import GHCU, degraded_model, write_model  # noqa: F401
from tools.analysis import choose_ghcu_threshold


def call(*arguments):
    choose_ghcu_threshold.main([str(argument) for argument in arguments])


def test_the_threshold_reaches_the_model_and_the_meta(
    degraded_model,  # noqa: F811
    tmp_path,
    capsys,
):
    path, checkpoint = degraded_model
    config = Config.fromfile(path)
    # The checkpoint rules only where the config names no threshold.
    del config.model.head.refiner["confidence_threshold"]
    config.dump(tmp_path / "config.py")
    out = tmp_path / "chosen.pth"
    call(tmp_path / "config.py", checkpoint, "--out", out)
    said = capsys.readouterr().out
    assert said.count("<- chosen") == 1 and str(out) in said
    meta = torch.load(out, weights_only=True)["meta"]["ghcu_threshold"]
    (row,) = [row for row in meta["curve"] if row["chosen"]]
    assert row["clean"] <= 1.004 * meta["curve"][0]["clean"]
    chosen = init_model(str(tmp_path / "config.py"), str(out), device="cpu")
    threshold = chosen.head.refiner.threshold.tolist()
    assert threshold == pytest.approx(meta["threshold"]) and len(threshold) == 68
    with pytest.raises(SystemExit, match="is the checkpoint itself"):
        call(path, checkpoint, "--out", checkpoint)


def test_what_cannot_be_chosen_from(degraded_model, tmp_path):  # noqa: F811
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(SystemExit, match="model.head has no refiner"):
        call(*write_model(plain))
    config = Config.fromfile(degraded_model[0])
    config.model.head.refiner.mode = "replace"
    config.dump(tmp_path / "replace.py")
    with pytest.raises(SystemExit, match="mode is 'replace'"):
        call(tmp_path / "replace.py", degraded_model[1])
    whole = tmp_path / "whole"
    whole.mkdir()
    with pytest.raises(SystemExit, match="train pipeline has none of"):
        call(*write_model(whole, **GHCU))
