from collections import Counter

import numpy as np
import pytest

from semamb_mm.metric_learning import PKSampler

LABELS = np.repeat([3, 7, 8, 11, 20, 21], [6, 9, 4, 2, 1, 8])


def build(labels=LABELS, **options):
    return PKSampler(
        labels, num_classes_per_batch=3, num_samples_per_class=2, seed=0, **options
    )


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
    indices = list(build(np.repeat(np.arange(6), 5)))
    assert set(LABELS.tolist()) == {3, 7, 8, 11, 20, 21}
    per_class = Counter(i // 5 for i in indices)
    assert max(per_class.values()) - min(per_class.values()) <= 2
    assert max(Counter(indices).values()) <= 2


@pytest.mark.parametrize("world_size", [1, 2])
def test_coverage_is_what_an_epoch_shows(world_size):
    sizes = np.random.default_rng(0).integers(2, 60, 40)
    labels = np.repeat(np.arange(40), sizes)
    ranks = [build(labels, rank=r, world_size=world_size) for r in range(world_size)]
    seen = []
    for epoch in range(5):
        for sampler in ranks:
            sampler.set_epoch(epoch)
        seen.append(len({i for sampler in ranks for i in sampler}) / len(labels))
    assert ranks[0].coverage == pytest.approx(np.mean(seen), abs=0.02)
    assert 0.7 < ranks[0].coverage < 0.9
    assert build(np.repeat(np.arange(6), 5)).coverage == 1


def test_deterministic_in_seed_and_epoch():
    one, two = build(), build()
    assert list(one) == list(two) == list(one)
    two.set_epoch(1)
    assert list(one) != list(two)
    one.set_epoch(1)
    assert list(one) == list(two)


def test_ranks_share_the_batches_of_one_process():
    ranks = [build(rank=rank, world_size=2) for rank in (0, 1)]
    whole = build()
    whole.num_batches = 6  # five, rounded up for two ranks
    assert [len(list(r)) for r in ranks] == [len(r) for r in ranks] == [18, 18]
    whole, parts = list(whole), [list(r) for r in ranks]
    for number in range(6):
        batch = parts[number % 2][number // 2 * 6 :][:6]
        assert batch == whole[number * 6 : number * 6 + 6]


def test_draws_of_a_seed():
    """As they were when the sampler was a class of MMPretrain's registry."""
    assert list(build())[:12] == [20, 19, 16, 17, 25, 24, 21, 21, 5, 4, 8, 12]


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="which has 2"):
        build(np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="must be positive"):
        PKSampler(LABELS, 2, 0)
