"""The tools find the targets of MMPose's own data sets, whatever wraps them."""

import csv

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS

from semamb_mm.formats.face_json import tight_square, write_face_json
from tests.pose.conftest import tiny_config
from tools.analysis import audit_annotations, inspect_targets

# MMPose says which of two boxes it takes.
pytestmark = pytest.mark.filterwarnings("ignore:Use the existing:UserWarning")
FACES = 12  # an audit wants ten at least


def write_300w_json(root, name="face"):
    """Procedural faces as Face300WDataset reads them."""
    init_default_scope("mmpose")
    faces = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=FACES, image_size=64)
    )
    (root / "images").mkdir(parents=True)
    with write_face_json(root / "faces.json") as add:
        for i in range(FACES):
            info = faces.get_data_info(i)
            cv2.imwrite(str(root / f"images/{name}{i}.png"), info["img"])
            points = info["keypoints"][0]
            add(i + 1, f"{name}{i}.png", (64, 64), points, *tight_square(points))
    return dict(
        type="Face300WDataset",
        data_root=str(root),
        ann_file="faces.json",
        data_prefix=dict(img="images/"),
    )


def wrap(name, leaf, pipeline):
    """A train data set's config, its leaf wrapped as users wrap it."""
    piped = dict(leaf, pipeline=pipeline)
    return dict(
        plain=piped,
        repeated=dict(type="RepeatDataset", times=2, dataset=piped),
    )[name]


@pytest.fixture(scope="module", params=["plain", "repeated"])
def trained(request, tmp_path_factory):
    """Config and checkpoint of an epoch with the search on."""
    folder = tmp_path_factory.mktemp(request.param)
    leaf = write_300w_json(folder / "data")
    config = tiny_config(folder / "work")
    pipeline = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset = Config(
        dict(dataset=wrap(request.param, leaf, pipeline))
    ).dataset
    config.train_cfg.max_epochs = 1
    config.dump(folder / "config.py")
    init_default_scope("mmpose")
    Runner.from_cfg(config).train()
    return str(folder / "config.py"), str(folder / "work/epoch_1.pth")


def test_inspect_targets(trained, tmp_path):
    inspect_targets.main([*trained, "--out-dir", str(tmp_path), "--num-faces", "2"])
    with open(tmp_path / "moves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FACES * 68
    assert len({row["sample"] for row in rows}) == FACES
    assert np.mean([float(row["move_px"]) for row in rows]) > 0


def test_audit_annotations(trained, tmp_path):
    options = ["--out-dir", str(tmp_path), "--num-faces", "2", "--relabel", "all"]
    audit_annotations.main([*trained, *options])
    with open(tmp_path / "samples.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == FACES
    assert (tmp_path / "relabelled/faces.json").is_file()


def test_a_checkpoint_of_other_data_is_refused(trained, tmp_path):
    config = Config.fromfile(trained[0])
    pipeline = config.val_dataloader.dataset.pipeline
    other = dict(write_300w_json(tmp_path / "data", "other"), pipeline=pipeline)
    config.train_dataloader.dataset = Config(dict(dataset=other)).dataset
    config.dump(tmp_path / "config.py")
    for tool in (inspect_targets, audit_annotations):
        with pytest.raises(SystemExit, match="no latent targets for '.*other0.png#1'"):
            tool.main([str(tmp_path / "config.py"), trained[1]])
