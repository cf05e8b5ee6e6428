import numpy as np
import pytest
import torch

from semamb_mm.functional import curve_tangents, search_latent_targets
from semamb_mm.pose.latent_targets.search import (
    BatchSearch,
    SearchGrid,
    complete_search_options,
    options_in_cells,
    search_heatmaps,
)
from semamb_mm.pose.latent_targets.warp import input_warp
from tests.functional.loops import heatmaps_at
from tests.pose.augmented import BOX, FLIPS
from tests.pose.heads.test_semantic_alignment_head import batch, build, features


def complete(head, **search):
    return complete_search_options(search, head.search_grid, 68, "LatentTargetHook")


def search_batch(head, samples, anchor, **options):
    """Heatmaps that the head predicts in training, and what is found in them."""
    seen = []
    with head.register_heatmap_observer(seen.append):
        head.loss(features(), samples)
    (heatmaps,) = seen
    search = BatchSearch(complete(head, **options), head.search_grid, anchor, False)
    return heatmaps.detach(), search(heatmaps.detach(), samples)


@pytest.mark.parametrize("anchor", ["previous", "annotation"])
@pytest.mark.parametrize("augmentation", [[], [BOX], [FLIPS[0], BOX]])
def test_search_is_the_functions_brought_back_to_the_image(anchor, augmentation):
    """The found targets, by hand: own warp in, functional search, own warp out."""
    store, samples = batch(2, *augmentation)
    curves = [range(0, 17), range(17, 22)]
    search = dict(radius=2.6, likelihood=0.2, curves=curves, prior_across=1.0)
    head = build().train()
    heatmaps, result = search_batch(head, samples, anchor, **search)
    in_cells = options_in_cells(complete(head, **search), head.search_grid)
    assert result.indices.tolist() == [0, 1]
    for i, sample in enumerate(samples):
        warp = input_warp(sample)
        anchors = store.targets if anchor == "previous" else store.annotations
        observed = torch.from_numpy(warp.to_input(anchors[i].numpy()) / 2).float()
        weights = sample.gt_instance_labels.keypoint_weights
        cells, energy = search_latent_targets(
            heatmaps[i : i + 1],
            observed[None],
            visible=weights,
            tangents=curve_tangents(observed[None], curves, weights),
            **in_cells,
        )
        expected = warp.to_image(cells[0].double().numpy() * 2)
        assert np.abs(result.found[i].numpy() - expected).max() < 1e-3
        assert torch.allclose(result.energies[i][warp.order], energy[0])
        assert torch.equal(result.searched[i][warp.order], weights[0] > 0)
    assert result.searched.any()


def test_a_search_that_changes_nothing_gives_the_store_back():
    store, samples = batch(2, FLIPS[0], BOX)
    search = dict(radius=4 / 3, prior=1e-3, subcell="none")
    # Radius 0 would round to cells, so compare to half a cell's diagonal in pixels.
    _, result = search_batch(build(), samples, "previous", **search)
    cell = [float(s.metainfo["input_scale"][0]) / 32 for s in samples]
    moved = (result.found - store.targets[:2]).norm(dim=-1)
    limit = torch.tensor(cell)[:, None] * 0.71 + 1e-3
    assert (moved <= limit)[result.searched].all()


def test_moves_at_the_rim_of_the_neighbourhood_are_reported():
    _, samples = batch()
    search = dict(radius=4 / 3, prior=1e6, subcell="none")
    _, result = search_batch(build().train(), samples, "previous", **search)
    assert result.at_edge.any() and not result.at_edge.all()
    assert not (result.at_edge & ~result.searched).any()


def test_options_mean_the_same_at_every_resolution():
    coarse = SearchGrid(scale_factor=(4.0, 4.0), sigma=(1.5, 1.5))
    fine = SearchGrid(scale_factor=(1.0, 1.0), sigma=(6.0, 6.0))
    given = dict(radius=16 / 3, patch_radius=2 / 3, prior=[4.0, 2.0], prior_across=1.0)
    given.update(curves=[[0, 1]], likelihood=1 / 6)
    one, other = (
        options_in_cells(complete_search_options(given, grid, 2, "hook"), grid)
        for grid in (coarse, fine)
    )
    for name in ("step", "sigma", "sigma_normal"):
        assert other[name] == 4 * one[name]
    for options in (one, other):
        assert options["search_radius"] == 8 and options["patch_radius"] == 1
    assert one["step"] == 1
    assert other["sigma_prior"] == [24.0, 12.0] and one["sigma_prior"] == [6.0, 3.0]
    assert one["sigma_likelihood"] == other["sigma_likelihood"] == 1 / 6


def test_a_step_makes_the_search_the_same_at_every_resolution():
    coarse = SearchGrid(scale_factor=(4.0, 4.0), sigma=(1.5, 1.5))
    fine = SearchGrid(scale_factor=(1.0, 1.0), sigma=(6.0, 6.0))
    given = dict(radius=5.0, patch_radius=0.75, step=1 / 4)
    one, other = (
        options_in_cells(complete_search_options(given, grid, 2, "hook"), grid)
        for grid in (coarse, fine)
    )
    for options in (one, other):
        assert options["search_radius"] == 20 and options["patch_radius"] == 3
    assert one["step"] == pytest.approx(0.375) and other["step"] == pytest.approx(1.5)


# Of real configs' codecs: heatmaps of 48, 64, 96, 128 and 256 cells.
SIGMAS = {48: 1.5, 64: 2.0, 96: 2.5, 128: 3.0, 256: 6.0}


def found_under_the_default(cells, moves, consensus):
    """What the default search finds of perfect peaks, observed so many sigmas off."""
    sigma = SIGMAS[cells]
    grid = SearchGrid(scale_factor=(1.0, 1.0), sigma=(sigma, sigma))
    moves = torch.as_tensor(moves)
    options = complete_search_options(None, grid, len(moves), "hook", consensus)
    points = torch.full((1, len(moves), 2), cells / 2 + 0.3)
    heatmaps = heatmaps_at(points, cells, sigma).float()
    observed = points - moves * sigma
    found, _, at_edge = search_heatmaps(
        heatmaps, observed, torch.ones(1, len(moves)), options, grid
    )
    return (found - observed) / sigma, at_edge[0].tolist()


@pytest.mark.parametrize("cells", SIGMAS)
def test_a_perfect_peak_moves_the_target_nearly_there_under_the_default(cells):
    """It is 4 cells of 48 off. Alone, the prior keeps two fifths of the way."""
    moves = [[8 / 3, 0.0], [0.0, -8 / 3], [0.0, 0.0]]
    expected = torch.tensor([moves])
    found, _ = found_under_the_default(cells, moves, consensus=True)
    assert (found - expected).abs().max() < 0.05 * 8 / 3
    found, _ = found_under_the_default(cells, moves, consensus=False)
    assert (found - expected).abs().max() < 0.45 * 8 / 3


@pytest.mark.parametrize("cells", SIGMAS)
def test_at_edge_under_the_default(cells):
    """A peak inside the neighbourhood is not at the edge, one just beyond it is."""
    moves = [[0.0, 0.0], [2.0, -2.0], [4.0, 0.0], [6.0, 0.0], [0.0, -6.2]]
    _, at_edge = found_under_the_default(cells, moves, consensus=True)
    assert at_edge == [False, False, False, True, True]


def test_the_prior_is_wide_where_consensus_weighs():
    grid = SearchGrid(scale_factor=(4.0, 4.0), sigma=(1.5, 1.5))
    priors = [
        complete_search_options(None, grid, 2, "hook", c)["prior"] for c in (0, 1)
    ]
    assert priors[0] < priors[1]
    given = dict(prior=3.0)
    assert complete_search_options(given, grid, 2, "hook", True)["prior"] == 3.0


def test_a_step_of_a_cell_needs_no_interpolation():
    for sigma in (1.5, 2.3, 4.9, 6.0):
        grid = SearchGrid(scale_factor=(1.0, 1.0), sigma=(sigma, sigma))
        options = complete_search_options(dict(step=1 / sigma), grid, 2, "hook")
        assert options_in_cells(options, grid)["step"] == 1


def test_the_default_step_interpolates_only_below_a_cell():
    for sigma, step in ((0.75, 0.5), (1.5, 1), (2.0, 1), (2.5, 2), (3.0, 2), (6.0, 4)):
        grid = SearchGrid(scale_factor=(1.0, 1.0), sigma=(sigma, sigma))
        options = complete_search_options(None, grid, 2, "hook")
        assert options_in_cells(options, grid)["step"] == step


def test_wrong_options_are_named():
    grid = SearchGrid(scale_factor=(4.0, 4.0), sigma=(1.5, 1.5))
    for search, message in (
        (dict(piror=1), "piror.*known are .*prior"),
        (dict(likelihood=[1.0, 2.0, 3.0]), "likelihood .* got 3"),
        (dict(prior=0), "prior must be positive"),
        (dict(radius=-1), "radius must be"),
        (dict(step=0), "step must be"),
        (dict(curves=[[0, 68]], prior_across=1.0), "curves must hold"),
        (dict(curves=[[0, 1]]), "go together"),
        (dict(subcell="median"), "subcell"),
    ):
        with pytest.raises(ValueError, match=message):
            complete_search_options(search, grid, 68, "LatentTargetHook")
