"""That folds are trained and resumed is tested with tools/analysis/audit_labels.py."""

import pytest
from mmengine.config import Config

from semamb_mm.pretrain.cross_validation import claim_folder, fold_config
from tests import ROOT

CONFIG = ROOT / "configs/osm_caa/slim-resnet_osm-caa-val_omniglot-28x28.py"


def test_a_fold_trains_as_the_config_does_without_validation(tmp_path):
    config = Config.fromfile(CONFIG)
    before = config.pretty_text
    plan = fold_config(config, 1, 4, tmp_path)
    assert config.pretty_text == before
    dataset = plan.train_dataloader.dataset
    assert (dataset.fold, dataset.num_splits) == (1, 4)
    assert dataset.dataset == config.train_dataloader.dataset
    assert plan.train_cfg == config.train_cfg and plan.model == config.model
    assert plan.val_dataloader is None and plan.test_evaluator is None
    assert "save_best" not in plan.default_hooks.checkpoint


def test_a_folder_of_another_plan_is_refused(tmp_path):
    config = Config.fromfile(CONFIG)
    plan = fold_config(config, 0, 4, tmp_path)
    claim_folder(tmp_path, plan)
    claim_folder(tmp_path, plan)
    with pytest.raises(SystemExit, match="training of another config .*plan.py"):
        claim_folder(tmp_path, fold_config(config, 0, 5, tmp_path))
