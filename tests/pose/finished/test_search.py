"""Views of several networks: each one's mean, and targets by how they differ."""

import torch

from semamb_mm.pose.finished.search import Making, make_targets, mean_of_views
from semamb_mm.pose.latent_targets import LatentTargetStore, SearchResult
from tests.functional.test_consensus_views import case


def result(indices, found, view, searched=None):
    """A view; energies are all the view's number."""
    everywhere = torch.ones(found.shape[:2], dtype=torch.bool)
    return SearchResult(
        torch.tensor(indices),
        found,
        torch.full(found.shape[:2], float(view)),
        everywhere if searched is None else searched,
        ~everywhere,
        torch.full((len(indices),), view),
    ).compact()


def test_views_of_one_network_become_one():
    found = torch.arange(24.0).view(2, 2, 3, 2)
    hidden = torch.tensor([[True, True, False], [True, False, True]])
    one = mean_of_views(
        [result([7, 4], found[0], 1), result([4, 7], found[1], 3, hidden)], number=5
    )
    assert one.indices.tolist() == [4, 7] and one.views.tolist() == [5, 5]
    both = (found[0].flip(0) + found[1]) / 2
    both[0, 2], both[1, 1] = found[0, 1, 2], found[0, 0, 1]
    torch.testing.assert_close(one.found, both)
    assert one.energies.float().tolist() == [[2, 2, 1], [2, 1, 2]]
    assert one.searched.all()


def test_a_landmark_that_no_view_found_was_not_searched():
    found = torch.zeros(1, 2, 2)
    hidden = torch.tensor([[True, False]])
    one = mean_of_views(
        [result([0], found + torch.nan, 0), result([0], found, 1, hidden)], 0
    )
    assert one.searched.tolist() == [[True, False]]
    assert torch.equal(one.found, found) and torch.isfinite(one.energies).all()


def test_several_networks_tell_the_annotators_error():
    one = case()
    keys = [str(i) for i in range(len(one.truth))]
    shape = 5 * torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
    store = LatentTargetStore(keys, 100 * one.observed + shape, torch.ones(300, 12))
    views = [
        result(range(300), 100 * found + shape, number)
        for number, found in enumerate(one.networks)
    ]
    errors = []
    for evidence in ("landmarks", "views"):
        making = Making(None, dict(evidence=evidence), None, ())
        for part in (store.counts, store.found, store.scatter.sums):
            part.zero_()
        make_targets(store, views, making)
        errors.append(one.error((store.targets - shape) / 100))
    assert errors[1] < 0.9 * errors[0] < 0.9 * one.error(one.observed)
