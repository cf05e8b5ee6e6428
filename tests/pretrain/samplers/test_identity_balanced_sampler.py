from collections import Counter

import numpy as np
import pytest
from mmpretrain.registry import DATA_SAMPLERS

import semamb_mm.pretrain  # noqa: F401
from semamb_mm.pretrain.samplers import identity_balanced_sampler as module

LABELS = np.repeat([3, 7, 8, 11, 20, 21], [6, 9, 4, 2, 1, 8])


class Labelled:
    def __init__(self, labels=LABELS):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


def build(dataset=None, **options):
    options = dict(num_classes_per_batch=3, num_samples_per_class=2, seed=0, **options)
    cfg = dict(type="IdentityBalancedSampler", dataset=dataset or Labelled())
    return DATA_SAMPLERS.build(dict(cfg, **options))


def test_every_batch_has_p_classes_of_k_samples():
    sampler = build()
    assert len(sampler) == 30  # five batches of 6 hold 30 samples
    for epoch in range(20):
        sampler.set_epoch(epoch)
        indices = list(sampler)
        assert len(indices) == len(sampler)
        for start in range(0, len(indices), 6):
            batch = indices[start : start + 6]
            counts = Counter(LABELS[batch].tolist())
            assert len(counts) == 3 and set(counts.values()) == {2}
            repeated = {LABELS[i] for i, n in Counter(batch).items() if n > 1}
            assert repeated <= {20}  # the class of one sample


def test_no_class_is_passed_over_and_samples_take_turns():
    indices = list(build(Labelled(np.repeat(np.arange(6), 5))))
    assert set(LABELS.tolist()) == {3, 7, 8, 11, 20, 21}
    per_class = Counter(i // 5 for i in indices)
    assert max(per_class.values()) - min(per_class.values()) <= 2
    assert max(Counter(indices).values()) <= 2


def test_deterministic_in_seed_and_epoch():
    one, two = build(), build()
    assert list(one) == list(two) == list(one)
    two.set_epoch(1)
    assert list(one) != list(two)
    one.set_epoch(1)
    assert list(one) == list(two)


def test_ranks_share_the_batches_of_one_process(monkeypatch):
    ranks = []
    for rank in (0, 1):
        monkeypatch.setattr(module, "get_dist_info", lambda rank=rank: (rank, 2))
        ranks.append(build())
    monkeypatch.setattr(module, "get_dist_info", lambda: (0, 1))
    whole = build()
    whole.num_batches = 6  # five, rounded up for two ranks
    assert [len(list(r)) for r in ranks] == [len(r) for r in ranks] == [18, 18]
    whole, parts = list(whole), [list(r) for r in ranks]
    for number in range(6):
        batch = parts[number % 2][number // 2 * 6 :][:6]
        assert batch == whole[number * 6 : number * 6 + 6]


def test_datasets_without_get_gt_labels():
    class Plain:
        def __len__(self):
            return len(LABELS)

        def get_data_info(self, index):
            return dict(gt_label=int(LABELS[index]))

    assert list(build(Plain())) == list(build())


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="which has 2"):
        build(Labelled(np.array([0, 0, 1, 1])))
    with pytest.raises(ValueError, match="must be positive"):
        module.IdentityBalancedSampler(Labelled(), 2, 0)
