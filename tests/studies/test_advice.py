"""studies/advice.py: what is asked, what it is compared with, the table."""

import argparse
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from semamb_mm.pose.finished.residuals import held_out_dataset
from studies import advice, alignment
from studies.engine import ROOT

from .test_alignment import write_finished
from .test_disagreement import errors, plan, xrays  # noqa: F401

SAID = dict(ratio=0.9, noise=0.01, network=0.02, targets=0.3, detector=0.02)


@pytest.fixture
def asked(monkeypatch):
    """Stand in for the tool; collects its command lines."""
    commands = []

    def make(made):
        commands.append(made.command)
        if not made.path.exists():
            figures = {
                name: dict(value=value, low=value / 2, high=2 * value)
                for name, value in SAID.items()
            }
            content = dict(advice="restart", figures=dict(all=figures))
            made.path.write_text(json.dumps(content))

    monkeypatch.setattr(advice.Made, "make", make)
    return commands


def write_faces(folder):
    """Two seeds' plain detectors and what two methods came to."""
    given = argparse.Namespace(seeds=[0, 1], work_dir=str(folder), cfg_options={})
    for run in alignment.plan_noise(given):
        if run.case == "heavy" and run.method in ("plain", "restart"):
            write_finished(run, 0.02 - 0.002 * (run.method == "restart"))


def test_faces_are_asked_about_with_annotations_of_the_same_noise(
    asked, tmp_path, capsys
):
    write_faces(tmp_path / "faces")
    arguments = ["--faces", str(tmp_path / "faces"), "--seeds", "0", "1"]
    advice.main([*arguments, "--work-dir", str(tmp_path / "advice")])
    text = capsys.readouterr().out
    assert text.strip() == (tmp_path / "advice/advice.md").read_text().strip()
    line = "| faces, heavy | 2 | 0.90 (0.45 to 1.80) | 30.0 (15.0 to 60.0) | restart "
    assert line in text
    assert "100.0 | 2.0 (1.0 to 4.0) | restart 10.0 |  | restart |" in text
    for seed, (tool, config, checkpoint, *options) in enumerate(asked):
        assert (ROOT / tool).is_file() and options[-2:] == list(advice.OF_FACES)
        assert Path(checkpoint).parent.name == f"seed{seed}"
        dataset = held_out_dataset(Config.fromfile(config), "val")
        assert dataset.noise == "heavy" and dataset.annotation == "noisy"
        assert dataset.seed != Config.fromfile(config).train_dataloader.dataset.seed


def test_xrays_are_asked_about_in_the_fold_held_out(
    asked,
    xrays,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    for run in plan(tmp_path / "runs", annotators=[1, 2], folds=list(range(5))):
        if run.annotator == 2 and run.method in ("plain", "ceiling"):
            run.checkpoint.parent.mkdir(parents=True)
            run.checkpoint.touch()
            better = 0.5 if run.method == "ceiling" else 1
            kept = errors([2 * run.fold, 2 * run.fold + 1], better)
            (run.folder / "figures.json").write_text(json.dumps(kept))
    arguments = ["--xrays", str(tmp_path / "runs"), "--seeds", "3"]
    args = advice.parse_args([*arguments, "--work-dir", str(tmp_path / "advice")])
    cases = list(advice.of_xrays(args))
    line = advice.row(cases, advice.gains_of_xrays)
    assert line[:2] == ["X-rays, annotator 2", "5"]
    assert line[-3:] == ["", "ceiling 50.0", "restart"]
    for fold, (_, config, *_) in enumerate(asked):
        config = Config.fromfile(config)
        files = [
            Path(dataset.ann_file)
            for dataset in (
                config.train_dataloader.dataset,
                held_out_dataset(config, "val"),
            )
        ]
        mine, other = (
            {image["id"] for image in json.loads(file.read_text())["images"]}
            for file in files
        )
        assert not mine & other and len(mine | other) == 10
        assert {min(number, 8) % 5 for number in other} == {fold}
        assert all(file.name.startswith("annotator2_without") for file in files)


def test_nothing_finished_is_said(tmp_path):
    with pytest.raises(SystemExit, match="no training is finished"):
        advice.main(["--faces", str(tmp_path), "--work-dir", str(tmp_path)])
    with pytest.raises(SystemExit):
        advice.parse_args([])
