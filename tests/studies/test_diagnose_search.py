"""studies/diagnose_search.py on an untrained detector."""

import sys

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import DATASETS

from studies import diagnose_search
from tests.small_detector import write_model

CONTOUR = [list(range(17))]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    hook = dict(
        type="LatentTargetHook",
        start=0,
        consensus=dict(curves=CONTOUR),
        search=dict(curves=CONTOUR, prior_across=1.0),
    )
    return write_model(tmp_path_factory.mktemp("model"), custom_hooks=[hook])


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["diagnose_search", *map(str, arguments)])
    diagnose_search.main()


def test_every_setting_has_a_row_and_one_with_consensus(model, monkeypatch, capsys):
    options = ["--num-faces", 3, "--patch-radius", 1, "--prior", 2]
    call(monkeypatch, *model, *options, "--likelihood", 1, "--subcell", "mean")
    out = capsys.readouterr().out
    assert "3 faces, 1 view(s); one cell is" in out
    rows = [line for line in out.splitlines() if line[48:].strip()]
    table = {row[:48].strip(): row[48:].split() for row in rows}
    assert table["targets"] == ["contour", "brows", "nose", "weak", "strong"]
    titles = ["annotations", "heatmap's centre of mass"]
    titles += ["patch=1 prior=2 likelihood=1 mean", "and consensus"]
    titles.append("patch=1 prior=2 across=0.333 likelihood=1 mean")
    for title in titles:
        assert all(float(value) > 0 for value in table[title])
    assert out.count("    and consensus") == 3


def test_several_views_bound_the_network_s_own_error(model, monkeypatch, capsys):
    options = ["--num-faces", 3, "--views", 2, "--patch-radius", 1, "--prior", 2]
    call(monkeypatch, *model, *options, "--likelihood", 1, "--subcell", "mean")
    out = capsys.readouterr().out
    assert "3 faces, 2 view(s)" in out
    assert out.count("    and consensus  ") == out.count("consensus, no spread") == 3


def test_the_centre_of_mass_of_a_peak():
    heatmaps = torch.zeros(1, 1, 8, 9)
    heatmaps[0, 0, 3, 4], heatmaps[0, 0, 3, 5], heatmaps[0, 0, 7, 0] = 1, 1, 0.2
    assert diagnose_search.centroid(heatmaps)[0, 0].tolist() == [4.5, 3]


def test_faces_without_a_truth_are_refused(model, monkeypatch, tmp_path):
    @DATASETS.register_module(force=True)
    class FacesWithoutTruth(DATASETS.get("SyntheticFaceDataset")):
        @property
        def true_keypoints(self):
            raise AttributeError

    config = Config.fromfile(model[0])
    config.train_dataloader.dataset.type = "FacesWithoutTruth"
    config.dump(tmp_path / "config.py")
    with pytest.raises(SystemExit, match="FacesWithoutTruth does not know the true"):
        call(monkeypatch, tmp_path / "config.py", model[1])
