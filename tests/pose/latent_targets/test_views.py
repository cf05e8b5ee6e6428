import pickle
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import (
    ClassBalancedDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from torch.utils.data import ConcatDataset, DataLoader, Subset, WeightedRandomSampler

from semamb_mm.pose.latent_targets import views
from semamb_mm.pose.latent_targets.views import (
    Copies,
    View,
    ViewFetcher,
    ViewSampler,
    first_copies,
    number_views,
    occurrence_numbers,
)
from tests.pose.latent_targets.test_samples import Faces


class Balanced(Faces):
    """Faces of which the last is of a rare class."""

    METAINFO = dict(classes=("often", "seldom"))

    def get_cat_ids(self, index):
        return [int(index == 2)]


def numbers(dataset):
    copies = Copies(dataset)
    found = [copies.number(i) for i in range(len(dataset))]
    assert max(found) < copies.most
    return found


def test_copies_of_a_sample_are_numbered():
    faces = Faces("a")
    faces.full_init()
    assert numbers(faces) == [0, 0, 0]
    repeated = RepeatDataset(faces, times=2)
    assert numbers(repeated) == [0] * 3 + [1] * 3
    assert numbers(RepeatDataset(Faces("a"), times=1)) == [0] * 3
    assert numbers(ConcatDataset([repeated, Faces("b")])) == [0] * 3 + [1] * 3 + [0] * 3
    assert numbers(ConcatDataset([faces, repeated, faces])) == [
        *[0] * 3, *[0] * 3, *[1] * 3, *[1] * 3,
    ]  # fmt: skip
    rare = ClassBalancedDataset(Balanced("a"), oversample_thr=0.6)
    assert len(rare) == 4 and numbers(rare) == [0, 0, 0, 1]
    assert numbers(Subset(faces, [2, 0, 2])) == [0, 0, 1]


def test_each_sample_can_be_fetched_once():
    faces = Faces("a")
    repeated = RepeatDataset(faces, times=2)
    assert first_copies(ConcatDataset([repeated, Faces("b")]), 6) == [0, 1, 2, 6, 7, 8]
    both = ConcatDataset([faces, repeated])  # of one and the same data set
    assert first_copies(both, 3) == list(range(9))
    rare = ClassBalancedDataset(Balanced("a"), oversample_thr=0.6)
    assert first_copies(rare, 3) == [0, 1, 2]
    unknown = type("Unknown", (), dict(dataset=faces, __len__=lambda self: 5))()
    assert first_copies(unknown, 3) == [0, 1, 2, 3, 4]


def test_what_is_drawn_at_random_is_each_time_another_copy():
    drawn = SimpleNamespace(datasets=[Faces("a")], _lens=[6], resample=True)
    drawn = type("Drawn", (), dict(vars(drawn), __len__=lambda self: 6))()
    assert numbers(drawn) == list(range(6))
    assert Copies(drawn).drawn and not Copies(Faces("a")).drawn


def test_occurrences_are_counted_in_order():
    assert occurrence_numbers([3, 1, 3, 3, 1]).tolist() == [0, 0, 1, 2, 1]
    assert len(occurrence_numbers([])) == 0


def test_a_sampler_that_draws_once_gives_plain_indices():
    sampler = ViewSampler(DefaultSampler(range(5), seed=1))
    assert all(type(index) is int for index in sampler) and len(sampler) == 5
    sampler.set_epoch(1)  # goes to the sampler itself
    assert sampler.sampler.epoch == 1


def draws(sampler):
    return [(int(index), index.draw) for index in sampler]


def test_draws_with_replacement_are_numbered():
    sampler = WeightedRandomSampler([0.5, 0.5], 6, generator=torch.Generator())
    drawn = draws(ViewSampler(sampler))
    plain = [index for index, _ in drawn]
    assert len(set(plain)) == 2
    assert drawn == list(zip(plain, occurrence_numbers(plain)))


def on_rank(monkeypatch, rank, parts):
    """As if ``parts`` were what the ranks' samplers gave."""

    def gather(tensor):
        if tensor.dim() == 0:
            return [torch.tensor(len(part)) for part in parts]
        longest = max(map(len, parts))
        return [torch.tensor(p + [-1] * (longest - len(p))) for p in parts]

    monkeypatch.setattr(views, "get_dist_info", lambda: (rank, len(parts)))
    monkeypatch.setattr(views, "all_gather", gather)


def test_draws_are_counted_over_the_ranks(monkeypatch):
    whole = [4, 4, 1, 4, 4, 1, 2]
    expected = list(zip(whole, occurrence_numbers(whole)))
    for rank in range(2):
        on_rank(monkeypatch, rank, [whole[0::2], whole[1::2]])
        assert draws(ViewSampler(whole[rank::2])) == expected[rank::2]


@pytest.mark.parametrize("batch_size", [2, 6])
def test_iterations_know_their_number_and_repeats(monkeypatch, batch_size):
    sampler = ViewSampler(InfiniteSampler(range(3), shuffle=False), batch_size)
    stream = iter(sampler)
    drawn = [next(stream) for _ in range(12)]
    assert [int(i) for i in drawn] == [0, 1, 2] * 4
    assert [i.iteration for i in drawn] == [i // batch_size for i in range(12)]
    repeats = [0] * 3 + [1] * 3 if batch_size == 6 else [0] * 6
    assert [i.draw for i in drawn] == repeats * 2
    # Two ranks that take half a batch each make the same views.
    parts = []
    for rank in range(2):
        on_rank(monkeypatch, rank, [[], []])
        part = InfiniteSampler(range(3), shuffle=False)
        stream = iter(ViewSampler(part, batch_size // 2))
        parts.append([next(stream) for _ in range(6)])
    both = [index for pair in zip(*parts) for index in pair]
    for name in ("draw", "iteration"):
        assert [getattr(i, name) for i in both] == [getattr(i, name) for i in drawn]


def test_a_finite_samplers_iterations_go_on():
    sampler = ViewSampler(DefaultSampler(range(3), shuffle=False), batch_size=2)
    assert [i.iteration for _ in range(2) for i in sampler] == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_store_is_told_the_view_wherever_a_sample_is_fetched(workers):
    class Store:
        clock = (5, 1)
        view = None

    store = Store()

    def tell(results):
        return results["sample_idx"], store.view

    dataset = RepeatDataset(Faces("a", [tell]), times=2)
    sampler = WeightedRandomSampler([1.0] * 6, 12, generator=torch.Generator())
    loader = DataLoader(
        dataset, batch_size=5, sampler=sampler, num_workers=workers, collate_fn=list
    )
    number_views(loader, store, by_epoch=True)
    number_views(loader, store, by_epoch=True)  # as a second training does
    told = [sample for batch in loader for sample in batch]
    assert len(set(told)) == len(told) == 12
    assert all(iteration is None for _, (_, iteration) in told)


def test_batches_of_another_kind_stay_as_they_are():
    class Batches:
        batch_size = 2

        def __iter__(self):
            return iter([[0, 1], [1, 2]])

    loader = DataLoader(Faces("a"), batch_sampler=Batches(), collate_fn=list)
    number_views(loader, None, by_epoch=False)
    assert list(loader.batch_sampler) == [[0, 1], [1, 2]]
    assert views.batch_size_of(loader) == 2


def test_views_travel_to_workers():
    view = pickle.loads(pickle.dumps(View(7, 2, 3)))
    assert (view, view.draw, view.iteration) == (7, 2, 3)
    fetcher = pickle.loads(pickle.dumps(ViewFetcher(Faces("a"), None)))
    assert fetcher.copies.most == 1
