"""The search of a batch whose head gives one distribution per axis."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from semamb_mm.pose.latent_targets.search import (
    BatchSearch,
    SearchGrid,
    complete_search_options,
    options_in_cells,
)
from semamb_mm.pose.latent_targets.warp import input_warp
from tests.pose.augmented import BOX, FLIPS, attach_moved_store, make_dataset

# More bins in a sigma along x than along y, as where the input is not square.
CODEC = dict(
    type="SimCCLabel", input_size=(96, 64), sigma=(4.0, 3.0), simcc_split_ratio=2.0
)
GRID = SearchGrid((0.5, 0.5), (4.0, 3.0), separable=True)


def samples_of(*augmentation):
    dataset = make_dataset(*augmentation, codec=CODEC)
    store = attach_moved_store(dataset)
    return store, pseudo_collate([dataset[i] for i in range(3)])["data_samples"]


def perfect(points):
    """Gaussians of peak 1 about input pixels (B, K, 2), along x and along y."""
    bins = torch.as_tensor(points) * 2
    return tuple(
        torch.exp(
            -(
                (torch.arange(2 * CODEC["input_size"][axis]) - bins[..., axis, None])
                ** 2
            )
            / (2 * CODEC["sigma"][axis] ** 2)
        ).float()
        for axis in (0, 1)
    )


def search(heatmaps, samples, anchor, **options):
    options = complete_search_options(options, GRID, 68, "LatentTargetHook")
    return BatchSearch(options, GRID, anchor, False)(heatmaps, samples)


@pytest.mark.parametrize("anchor", ["previous", "annotation"])
@pytest.mark.parametrize("augmentation", [[], [FLIPS[0], BOX]])
def test_perfect_predictions_are_found_in_the_image(anchor, augmentation):
    """Where the prediction is, whatever the view; nothing is pulled to the anchor."""
    store, samples = samples_of(*augmentation)
    truth = store.annotations[:3] + torch.tensor([1.5, -1.0])
    warps = [input_warp(sample) for sample in samples]
    inputs = np.stack([w.to_input(t.numpy()) for w, t in zip(warps, truth)])
    weak_prior = dict(prior=1e3, radius=14, step=0.5, likelihood=1 / 6)
    result = search(perfect(inputs), samples, anchor, **weak_prior)
    order = np.stack([w.order for w in warps])
    inside = (np.abs(inputs - [47.5, 31.5]) < [42, 26]).all(-1)
    inside = torch.from_numpy(np.take_along_axis(inside, order.argsort(1), 1))
    used = result.searched & inside & ~result.at_edge
    assert used.float().mean() > 0.5
    assert (result.found - truth)[used].abs().max() < 0.1


def test_the_prior_holds_on_to_the_anchor():
    """Where nothing is predicted, the answer is the anchor."""
    store, samples = samples_of(BOX)
    nothing = torch.full((3, 68, 192), 0.5), torch.full((3, 68, 128), 0.5)
    for anchor, points in (
        ("previous", store.targets), ("annotation", store.annotations)
    ):  # fmt: skip
        result = search(nothing, samples, anchor, prior=0.5, likelihood=1e3)
        move = (result.found - points[:3])[result.searched]
        assert move.abs().max() < 0.05


def test_a_prediction_beyond_the_neighbourhood_is_at_the_edge():
    _, samples = samples_of()
    inputs = np.stack([s.gt_instances.transformed_keypoints[0, :, :2] for s in samples])
    far = perfect(inputs + [8, 0])  # 4 sigma
    weak_prior = dict(prior=1e3, likelihood=0.02)
    near = search(far, samples, "previous", radius=6, **weak_prior)
    beyond = search(far, samples, "previous", radius=3, **weak_prior)
    assert not near.at_edge.any() and beyond.at_edge[beyond.searched].all()


def test_lengths_are_sigmas_on_each_axis():
    options = dict(step=0.5, radius=4, prior=3.0, curves=[[0, 1]], prior_across=1.0)
    options = complete_search_options(options, GRID, 68, "LatentTargetHook")
    in_bins = options_in_cells(options, GRID)
    assert in_bins["sigma"] == (4.0, 3.0)  # 3.5 where the ideal is round
    assert in_bins["step"] == 1.75 and in_bins["search_radius"] == 8
    assert in_bins["sigma_prior"] == 10.5 and in_bins["sigma_normal"] == 3.5
    default = complete_search_options(None, GRID, 68, "LatentTargetHook")
    assert options_in_cells(default, GRID)["step"] == pytest.approx(3.5 / 3)
