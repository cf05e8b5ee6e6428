"""The configs to try the method with on a CPU train and test on a few faces."""

import pytest
from mmengine.runner import Runner

from tests import ROOT

FOLDER = ROOT / "configs/semantic_alignment"
CONFIGS = sorted([*FOLDER.glob("slim-hourglass*.py"), *FOLDER.glob("rtmpose-nano*.py")])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains_and_tests(path, load_slim):
    cfg = load_slim(path)
    for hook in cfg.get("custom_hooks", []):
        if hook.type == "LatentTargetHook":
            hook.start = 0
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    assert runner.test()["NME/inter_ocular"] > 0
