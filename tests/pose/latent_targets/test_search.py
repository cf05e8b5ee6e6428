import numpy as np
import pytest
import torch

from semamb_mm.functional import curve_tangents, search_latent_targets
from semamb_mm.pose.latent_targets.search import BatchSearch
from semamb_mm.pose.latent_targets.warp import input_warp
from tests.pose.augmented import BOX, FLIPS
from tests.pose.heads.test_semantic_alignment_head import batch, build, features


def search_batch(head, samples, anchor):
    """Heatmaps that the head predicts in training, and what is found in them."""
    seen = []
    with head.register_heatmap_observer(seen.append):
        head.loss(features(), samples)
    (heatmaps,) = seen
    search = BatchSearch(head.search, head.decoder.scale_factor, anchor, False)
    return heatmaps.detach(), search(heatmaps.detach(), samples)


@pytest.mark.parametrize("anchor", ["previous", "annotation"])
@pytest.mark.parametrize("augmentation", [[], [BOX], [FLIPS[0], BOX]])
def test_search_is_the_functions_brought_back_to_the_image(anchor, augmentation):
    """The found targets, by hand: own warp in, functional search, own warp out."""
    store, samples = batch(2, *augmentation)
    curves = [range(0, 17), range(17, 22)]
    search = dict(search_radius=4, sigma_likelihood=0.5)
    head = build(search=dict(search, curves=curves, sigma_normal=1.0)).train()
    heatmaps, result = search_batch(head, samples, anchor)
    assert result.indices.tolist() == [0, 1]
    for i, sample in enumerate(samples):
        warp = input_warp(sample)
        anchors = store.targets if anchor == "previous" else store.annotations
        observed = torch.from_numpy(warp.to_input(anchors[i].numpy()) / 2).float()
        weights = sample.gt_instance_labels.keypoint_weights
        options = {k: v for k, v in head.search.items() if k != "curves"}
        cells, energy = search_latent_targets(
            heatmaps[i : i + 1],
            observed[None],
            visible=weights,
            tangents=curve_tangents(observed[None], curves, weights),
            **options,
        )
        expected = warp.to_image(cells[0].double().numpy() * 2)
        assert np.abs(result.found[i].numpy() - expected).max() < 1e-3
        assert torch.allclose(result.energies[i][warp.order], energy[0])
        assert torch.equal(result.searched[i][warp.order], weights[0] > 0)
    assert result.searched.any()


def test_a_search_that_changes_nothing_gives_the_store_back():
    store, samples = batch(2, FLIPS[0], BOX)
    head = build(search=dict(search_radius=2, sigma_prior=1e-3, subcell="none"))
    # Radius 0 would round to cells, so compare to half a cell's diagonal in pixels.
    _, result = search_batch(head, samples, "previous")
    cell = [float(s.metainfo["input_scale"][0]) / 32 for s in samples]
    moved = (result.found - store.targets[:2]).norm(dim=-1)
    limit = torch.tensor(cell)[:, None] * 0.71 + 1e-3
    assert (moved <= limit)[result.searched].all()


def test_moves_at_the_rim_of_the_neighbourhood_are_reported():
    _, samples = batch()
    head = build(search=dict(search_radius=2, sigma_prior=1e6, subcell="none")).train()
    _, result = search_batch(head, samples, "previous")
    assert result.at_edge.any() and not result.at_edge.all()
    assert not (result.at_edge & ~result.searched).any()
