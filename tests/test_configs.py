"""The pose configs train and test on a tiny tree; all are listed for mim."""

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS

from semamb_mm.pose.datasets import write_pts_tree
from tests import ROOT

CONFIGS = sorted((ROOT / "configs").glob("[!_]*/*.py"))
# Those of configs/ghcu need a detector: test_ghcu_configs.py.
POSE_CONFIGS = sorted((ROOT / "configs/semantic_alignment").glob("slim-hourglass*.py"))


def tiny_tree(root):
    """Generated faces as 300W-style files, with train.txt and val.txt."""
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=6, image_size=96)
    )
    write_pts_tree(dataset, root)
    names = [f"images/{i:06d}" for i in range(6)]
    (root / "train.txt").write_text("\n".join(names[:4]) + "\n")
    (root / "val.txt").write_text("\n".join(names[4:]) + "\n")
    return root


@pytest.mark.parametrize("path", POSE_CONFIGS, ids=lambda path: path.stem)
def test_config_trains_and_tests(path, tmp_path, monkeypatch):
    import semamb_mm.pose  # noqa: F401

    init_default_scope("mmpose")
    if "300w" in path.stem:
        monkeypatch.setenv("DATA_ROOT", str(tiny_tree(tmp_path / "faces")))
    cfg = Config.fromfile(str(path))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if "num_samples" in loader.dataset:
            loader.dataset.num_samples = 4
    for hook in cfg.get("custom_hooks", []):
        if hook.type == "LatentTargetHook":
            hook.start = 0
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.work_dir = str(tmp_path / "work")
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    assert runner.test()["NME/inter_ocular"] > 0


def test_config_names_are_unique_as_mim_needs():
    names = [path.name for path in CONFIGS]
    assert len(names) == len(set(names))


def test_model_index_names_what_exists():
    index = yaml.safe_load((ROOT / "model-index.yml").read_text())
    for metafile in index["Import"]:
        content = yaml.safe_load((ROOT / metafile).read_text())
        for collection in content["Collections"]:
            assert (ROOT / collection["README"]).is_file()
        listed = {model["Config"] for model in content["Models"]}
        for config in listed:
            assert (ROOT / config).is_file()
        folder = (ROOT / metafile).parent
        assert listed == {str(p.relative_to(ROOT)) for p in folder.glob("*.py")}
