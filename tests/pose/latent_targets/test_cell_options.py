"""The search's old options, in cells, in the head."""

import pytest
import torch
from mmengine.config import Config

from semamb_mm.functional import search_latent_targets
from semamb_mm.pose.latent_targets.search import (
    SearchGrid,
    complete_search_options,
    options_in_cells,
    search_heatmaps,
)
from tests import ROOT
from tests.pose.conftest import CODEC
from tests.pose.heads.test_semantic_alignment_head import build

OLD = dict(sigma_prior=8.0, sigma_likelihood=0.5, search_radius=5, patch_radius=2)


@pytest.mark.parametrize(
    "old",
    [
        OLD,
        dict(OLD, sigma=1.0, subcell="none"),
        dict(OLD, sigma_prior=[float(k + 1) for k in range(68)]),
        dict(sigma_likelihood=1.0),
    ],
)
def test_they_find_what_they_found(old):
    with pytest.warns(DeprecationWarning, match="LatentTargetHook.search=dict") as seen:
        head = build(search=old)
    assert len(seen) == 1
    generator = torch.Generator().manual_seed(0)
    heatmaps = torch.rand(2, 68, 32, 32, generator=generator)
    observed = 31 * torch.rand(2, 68, 2, generator=generator)
    before = dict(search_radius=8, sigma=CODEC["sigma"], sigma_prior=4.0)
    before.update(patch_radius=int(CODEC["sigma"]), sigma_likelihood=2.0)
    before.update(subcell="mean")
    targets, energy = search_latent_targets(heatmaps, observed, **{**before, **old})
    found = search_heatmaps(
        heatmaps, observed, torch.ones(2, 68), head.search, head.search_grid
    )
    assert torch.allclose(found[0], targets, atol=1e-5)
    assert torch.allclose(found[1], energy, rtol=1e-5)


def test_an_unknown_one_is_named():
    with pytest.raises(ValueError, match="sigma_piror"):
        build(search=dict(sigma_piror=1))


def test_both_places_are_refused(make_runner):
    hook = dict(type="LatentTargetHook", start=0, search=dict(prior=2.0))
    with pytest.warns(DeprecationWarning):
        runner = make_runner(
            custom_hooks=[hook], model=dict(head=dict(search=dict(sigma_prior=4.0)))
        )
    with pytest.raises(ValueError, match="both have search"):
        runner.train()


@pytest.mark.parametrize("sigma", [8.5, 1.5])
def test_the_papers_recipe_has_the_papers_lengths_on_any_heatmap(sigma):
    """17 x 17 candidates, patches of 25 x 25: cells where sigma is 8.5 of 256."""
    config = Config.fromfile(ROOT / "configs/_base_/alignment_paper.py")
    grid = SearchGrid(scale_factor=(2.0, 2.0), sigma=(sigma, sigma))
    given = dict(config.latent_target_hook.search)
    now = options_in_cells(complete_search_options(given, grid, 68, "hook"), grid)
    assert (now["search_radius"], now["patch_radius"]) == (8, 12)  # steps
    assert now["step"] == pytest.approx(sigma / 8.5)
