"""Trees for the configs to train on, and configs cut to a few iterations."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import semamb_mm.pose  # noqa: F401
from semamb_mm.pose.datasets import write_pts_tree


@pytest.fixture(scope="session")
def pts_faces(tmp_path_factory):
    """Generated faces as 300W-style files, with train.txt and val.txt."""
    init_default_scope("mmpose")
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=6, image_size=96)
    )
    root = tmp_path_factory.mktemp("pts") / "faces"
    write_pts_tree(dataset, root)
    names = [f"images/{i:06d}" for i in range(6)]
    (root / "train.txt").write_text("\n".join(names[:4]) + "\n")
    (root / "val.txt").write_text("\n".join(names[4:]) + "\n")
    return root


@pytest.fixture
def load_slim(pts_faces, tmp_path, monkeypatch):
    """``load_slim(path)``: a narrow hourglass's config, cut to two iterations."""
    monkeypatch.setenv("DATA_ROOT", str(pts_faces))

    def load(path):
        init_default_scope("mmpose")
        cfg = Config.fromfile(str(path))
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(batch_size=2, num_workers=0, persistent_workers=False)
            if "num_samples" in loader.dataset:
                loader.dataset.num_samples = 4
        cfg.train_cfg.update(max_epochs=1, val_interval=1)
        cfg.work_dir = str(tmp_path / "work")
        return cfg

    return load
