"""tools/analysis/audit_annotations.py, called as a user calls it."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from semamb_mm.formats.pts import read_pts, write_pts
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)
from tests import ROOT
from tools.analysis import audit_annotations

CONFIG = "configs/semantic_alignment/slim-hourglass_sa_300w-subset-96x96.py"
TOOL = "tools/analysis/audit_annotations.py"
FACES = 12


def run(data, *command):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", DATA_ROOT=str(data)),
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A .pts folder and a checkpoint trained on it."""
    folder = tmp_path_factory.mktemp("audit")
    data = folder / "data"
    write_pts_tree(SyntheticFaceDataset(num_samples=FACES, image_size=96), data)
    names = "".join(f"images/{i:06d}\n" for i in range(FACES))
    for split in ("train", "val"):
        (data / f"{split}.txt").write_text(names)
    options = [
        "train_cfg.max_epochs=2", "train_cfg.val_interval=9", "custom_hooks.1.start=1",
        "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False",
        "val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False",
        "default_hooks.checkpoint.save_best=None",
    ]  # fmt: skip
    work = folder / "work"
    done = run(
        data, "tools/train.py", CONFIG, "--work-dir", work, "--cfg-options", *options
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return data, work / "epoch_2.pth", folder


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_pts_folder_is_ranked_relabelled_and_left_alone(trained):
    data, checkpoint, folder = trained
    before, out = contents(data), folder / "out"
    done = run(data, TOOL, CONFIG, checkpoint, "--out-dir", out, "--threshold", "2")
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(data) == before
    with open(out / "landmarks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FACES * 68
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    suspects = {
        (r["sample"], int(r["landmark"])): r for r in rows if r["suspect"] == "1"
    }
    assert 0 < len(suspects) < len(rows)
    assert all(float(row["score"]) >= 2 for row in suspects.values())
    replaced = 0
    for i in range(FACES):
        name = f"images/{i:06d}"
        old = read_pts(data / f"{name}.pts")
        new = read_pts(out / "relabelled" / f"{name}.pts")
        assert (out / "relabelled" / f"{name}.png").resolve().is_file()
        for k in range(68):
            row = suspects.get((name, k))
            if row is None or not (new[k] != old[k]).any():
                np.testing.assert_allclose(new[k], old[k], atol=1e-3)
                continue
            replaced += 1
            predicted = float(row["prediction_x"]), float(row["prediction_y"])
            np.testing.assert_allclose(new[k], predicted, atol=0.01)
    assert replaced > 0
    page = (out / "audit.html").read_text()
    assert page.count("data:image/") >= 2 and 'src="http' not in page
    with open(out / "samples.csv", newline="") as file:
        samples = list(csv.DictReader(file))
    counts = [int(row["suspects"]) for row in samples]
    assert len(samples) == FACES and counts == sorted(counts, reverse=True)
    assert sum(counts) == len(suspects)


def test_writing_into_the_data_is_refused(trained):
    data, checkpoint, _ = trained
    done = run(data, TOOL, CONFIG, checkpoint, "--out-dir", data / "audit")
    assert done.returncode != 0 and "inside the data root" in done.stderr
    assert not (data / "audit").exists()


def test_a_hidden_landmark_keeps_its_place_in_the_relabelled_file(tmp_path):
    data = tmp_path / "data"
    write_pts_tree(SyntheticFaceDataset(num_samples=1, image_size=96), data)
    (data / "all.txt").write_text("images/000000\n")
    old = read_pts(data / "images/000000.pts", 68)
    old[9] = [40.0, 101.0]  # below the image: not visible, NaN to the audit
    write_pts(data / "images/000000.pts", old)
    faces = PtsFaceDataset(data_root=str(data), ann_file="all.txt")
    info = faces.get_data_info(0)
    assert not info["keypoints_visible"][0, 9]
    labels = old + 1
    labels[9] = np.nan
    audit_annotations.relabel_sample(faces, info, labels, tmp_path / "new")
    new = read_pts(tmp_path / "new/images/000000.pts", 68)
    np.testing.assert_allclose(new[9], old[9], atol=1e-2)
    np.testing.assert_allclose(
        np.delete(new, 9, 0), np.delete(old, 9, 0) + 1, atol=1e-2
    )
