"""How batches are drawn is tested in tests/metric_learning/test_sampling.py."""

import numpy as np
import pytest
from mmengine.runner import Runner
from mmpretrain.registry import DATA_SAMPLERS

from semamb_mm.metric_learning import PKSampler
from semamb_mm.pretrain.samplers import identity_balanced_sampler as module

LABELS = np.repeat([3, 7, 8, 11, 20, 21], [6, 9, 4, 2, 1, 8])


class Labelled:
    def __init__(self, labels=LABELS):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


class Plain:
    def __len__(self):
        return len(LABELS)

    def get_data_info(self, index):
        return dict(gt_label=int(LABELS[index]))


def build(dataset, **options):
    options = dict(num_classes_per_batch=3, num_samples_per_class=2) | options
    cfg = dict(type="IdentityBalancedSampler", dataset=dataset)
    return DATA_SAMPLERS.build(dict(cfg, **options))


@pytest.mark.parametrize("dataset", [Labelled(), Plain()])
def test_labels_come_from_the_data_set(dataset):
    assert list(build(dataset, seed=0)) == list(PKSampler(LABELS, 3, 2))


def test_rank_and_drawn_seed_are_this_process_s(monkeypatch):
    monkeypatch.setattr(module, "get_dist_info", lambda: (1, 2))
    monkeypatch.setattr(module, "sync_random_seed", lambda: 5)
    expected = PKSampler(LABELS, 3, 2, seed=5, rank=1, world_size=2)
    assert list(build(Labelled())) == list(expected)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="which has 2"):
        build(Labelled(np.array([0, 0, 1, 1])))
    with pytest.raises(ValueError, match="must be positive"):
        build(Labelled(), num_samples_per_class=0)


def test_the_share_of_images_in_an_epoch_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(module, "print_log", lambda text, **_: told.append(text))
    sampler = build(Labelled())
    assert f"an epoch shows about {sampler.coverage:.0%} of the images" in told[0]


def loader(batch_size, **options):
    sampler = dict(type="DefaultSampler", shuffle=True)
    cfg = dict(
        dataset=Labelled(),
        batch_size=batch_size,
        num_workers=0,
        sampler=sampler,
        batch_sampler=dict(type="IdentityBalancedBatchSampler"),
    )
    return Runner.build_dataloader({**cfg, **options}, seed=7)


PK = dict(type="IdentityBalancedSampler", num_classes_per_batch=3)


@pytest.mark.parametrize(
    "options",
    [
        dict(sampler=dict(PK, num_samples_per_class=2, seed=7)),
        dict(
            batch_sampler=dict(
                type="IdentityBalancedBatchSampler", num_samples_per_class=2
            )
        ),
    ],
)
def test_the_runner_s_batches_are_the_sampler_s(options):
    batches = loader(6, **options).batch_sampler
    expected = list(PKSampler(LABELS, 3, 2, seed=7))
    assert sum(batches, []) == expected
    assert {len(batch) for batch in batches} == {6} and len(batches) == 5
    batches.sampler.set_epoch(1)  # as the Runner's hook does
    assert sum(batches, []) != expected


def test_a_batch_size_that_is_not_p_times_k_is_refused():
    with pytest.raises(
        ValueError, match="batch_size=8 .* 3 classes of 2: set batch_si"
    ):
        loader(8, sampler=dict(PK, num_samples_per_class=2))
    with pytest.raises(ValueError, match="batch_size=10 is no multiple of .*=4"):
        loader(10)
    with pytest.raises(ValueError, match="num_samples_per_class=3 do not fit"):
        loader(
            6,
            sampler=dict(PK, num_samples_per_class=2),
            batch_sampler=dict(
                type="IdentityBalancedBatchSampler", num_samples_per_class=3
            ),
        )
