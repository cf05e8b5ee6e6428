"""studies/engine/changes.py."""

import pytest
from mmengine.config import Config

from studies.engine import hook, keep_checkpoints, merged, scheduled, transform


@pytest.fixture
def config():
    dataset = dict(pipeline=[dict(type="LoadImage"), dict(type="GenerateTarget", a=1)])
    return Config(
        dict(
            custom_hooks=[dict(type="EMAHook"), dict(type="LatentTargetHook", start=8)],
            train_dataloader=dict(dataset=dataset),
            train_cfg=dict(max_epochs=20, val_interval=2),
            param_scheduler=[
                dict(type="LinearLR", end=60, by_epoch=False),
                dict(type="CosineAnnealingLR", end=20, by_epoch=True),
            ],
            default_hooks=dict(checkpoint=dict(interval=5, save_best="NME")),
        )
    )


def test_parts_are_found_by_type(config):
    hook(config).update(start=4)
    assert config.custom_hooks[1].start == 4
    transform(config, "GenerateTarget").update(a=2)
    assert config.train_dataloader.dataset.pipeline[1].a == 2
    with pytest.raises(ValueError, match="custom_hooks has 0 of type OtherHook"):
        hook(config, "OtherHook")
    pipeline = config.train_dataloader.dataset.pipeline
    pipeline.append(dict(type="LoadImage"))
    with pytest.raises(ValueError, match="pipeline has 2 of type LoadImage"):
        transform(config, "LoadImage")


def test_a_budget_moves_the_schedule_of_epochs_alone(config):
    scheduled(80)(config)
    assert config.train_cfg == dict(max_epochs=80, val_interval=2)
    assert [s.end for s in config.param_scheduler] == [60, 80]


def test_options(config):
    keep_checkpoints(-1)(config)
    assert config.default_hooks.checkpoint == dict(
        interval=1, max_keep_ckpts=-1, save_best="NME"
    )
    merged({"train_cfg.val_interval": 7})(config)
    assert config.train_cfg.val_interval == 7
    merged(None)(config)
