"""The chi-square of heatmap patches, and its loss, against plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import (
    chi_square_loss,
    chi_square_map,
    gaussian_patch,
    pearson_chi_square,
)
from tests.functional.loops import gaussian, heatmaps_at, loop_map

RADII = [(0, 0), (1, 2), (3, 1), (2, 4), (8, 3)]


def equals_the_loop(heatmaps, centers, search_radius, patch_radius, sigma):
    found = chi_square_map(
        heatmaps,
        centers,
        search_radius=search_radius,
        patch_radius=patch_radius,
        sigma=sigma,
    )
    expected = loop_map(heatmaps, centers, search_radius, patch_radius, sigma)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-9)
    return found


def test_gaussian_patch_by_hand():
    patch = gaussian_patch(2, 1.25, dtype=torch.float64)
    assert patch.shape == (5, 5)
    for row in range(5):
        for column in range(5):
            assert patch[row, column].item() == pytest.approx(
                gaussian(column - 2, row - 2, 1.25), rel=1e-12
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("search_radius", "patch_radius"), RADII)
@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_map_equals_patch_loop_also_at_borders(
    dtype, search_radius, patch_radius, sigma
):
    generator = torch.Generator().manual_seed(search_radius * 100 + patch_radius)
    heatmaps = torch.rand(2, 4, 11, 13, generator=generator, dtype=dtype)
    centers = torch.tensor(
        [[[0, 0], [12, 10], [6, 5], [0, 10]], [[-3, 4], [15, 20], [12, 0], [3, 9]]]
    )
    found = equals_the_loop(heatmaps, centers, search_radius, patch_radius, sigma)
    assert found.dtype == dtype


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    search_radius=st.integers(0, 4),
    patch_radius=st.integers(0, 4),
    sigma=st.floats(0.7, 5.0),
    batch=st.integers(1, 3),
)
def test_map_equals_patch_loop_for_any_parameters(
    seed, search_radius, patch_radius, sigma, batch
):
    generator = torch.Generator().manual_seed(seed)
    heatmaps = torch.rand(batch, 1, 9, 8, generator=generator)
    centers = torch.randint(-2, 10, (batch, 1, 2), generator=generator)
    equals_the_loop(heatmaps, centers, search_radius, patch_radius, sigma)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_heatmaps_are_computed_in_float32(dtype):
    heatmaps = torch.rand(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    centers = torch.tensor([[[5, 5], [0, 11]]])
    half = heatmaps.to(dtype)
    kwargs = dict(search_radius=2, patch_radius=3, sigma=1.0)
    found = chi_square_map(half, centers, **kwargs)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, chi_square_map(half.float(), centers, **kwargs))


def test_narrow_gaussian_does_not_overflow_and_absurd_one_is_refused():
    heatmaps = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    centers = torch.tensor([[[12, 12]]])
    found = chi_square_map(
        heatmaps.double(), centers, search_radius=1, patch_radius=8, sigma=0.7
    )
    expected = loop_map(heatmaps, centers, 1, 8, 0.7)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    with pytest.raises(ValueError, match="patch_radius is too large"):
        chi_square_map(heatmaps, centers, search_radius=1, patch_radius=8, sigma=0.1)


def test_map_and_loss_gradients():
    heatmaps = torch.rand(
        1, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    ).requires_grad_()
    centers = torch.tensor([[[0, 1], [4, 5]]])
    assert torch.autograd.gradcheck(
        lambda h: chi_square_map(
            h, centers, search_radius=1, patch_radius=1, sigma=1.0
        ),
        heatmaps,
    )
    assert torch.autograd.gradcheck(
        lambda h: chi_square_loss(
            h, centers + 0.3, patch_radius=2, sigma=1.2, sigma_likelihood=0.7
        ),
        heatmaps,
    )


def test_loss_is_mean_of_the_maps_middle_over_visible_landmarks():
    heatmaps = torch.rand(
        2, 3, 10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    centers = torch.tensor([[[1, 1], [5, 5], [9, 0]], [[3, 4], [8, 8], [0, 0]]])
    visible = torch.tensor([[1, 0, 1], [1, 1, 0]])
    loss = chi_square_loss(
        heatmaps,
        centers.double(),
        patch_radius=2,
        sigma=1.0,
        sigma_likelihood=2.0,
        visible=visible,
    )
    middle = loop_map(heatmaps, centers, 0, 2, 1.0)[..., 0, 0]
    expected = middle[visible > 0].mean() / (2 * 2.0**2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)


def test_loss_is_zero_at_a_perfect_subcell_gaussian_and_without_landmarks():
    points = torch.tensor([[[10.3, 12.8], [20.5, 9.1]]], dtype=torch.float64)
    heatmaps = heatmaps_at(points).requires_grad_()
    kwargs = dict(patch_radius=3, sigma=1.5)
    assert chi_square_loss(heatmaps, points, **kwargs).item() < 1e-20
    nothing = chi_square_loss(heatmaps, points, visible=torch.zeros(1, 2), **kwargs)
    nothing.backward()
    assert nothing.item() == 0
    assert heatmaps.grad.abs().max() == 0


@settings(max_examples=30, deadline=None)
@given(patch_radius=st.integers(0, 9), sigma=st.floats(0.5, 20.0))
def test_patch_is_symmetric_and_falls_from_its_middle(patch_radius, sigma):
    patch = gaussian_patch(patch_radius, sigma, dtype=torch.float64)
    assert patch[patch_radius, patch_radius] == 1 and patch.min() > 0
    assert torch.equal(patch, patch.T) and torch.equal(patch, patch.flip(0, 1))
    assert (patch[patch_radius:, patch_radius:].diff(dim=0) < 0).all()


@settings(max_examples=30, deadline=None)
@given(
    observed=st.lists(st.floats(-10, 10), min_size=1, max_size=5),
    expected=st.floats(1e-3, 10),
    floor=st.floats(0, 10),
)
def test_pearson_equals_its_formula(observed, expected, floor):
    found = pearson_chi_square(
        torch.tensor(observed, dtype=torch.float64),
        torch.tensor(expected, dtype=torch.float64),
        floor=floor,
    )
    loop = [(expected - phi) ** 2 / max(expected, floor) for phi in observed]
    assert found.tolist() == pytest.approx(loop, rel=1e-12, abs=1e-300)


def test_pearson_gradients():
    generator = torch.Generator().manual_seed(4)
    observed = torch.rand(2, 3, generator=generator, dtype=torch.float64)
    expected = 0.2 + torch.rand(3, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda o, e: pearson_chi_square(o, e, floor=0.1),
        (observed.requires_grad_(), expected.requires_grad_()),
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    patch_radius=st.integers(0, 4),
    sigma=st.floats(0.8, 4.0),
    sigma_likelihood=st.floats(0.3, 3.0),
)
def test_loss_equals_the_loop_at_subcell_targets(
    seed, patch_radius, sigma, sigma_likelihood
):
    generator = torch.Generator().manual_seed(seed)
    heatmaps = torch.rand(2, 2, 7, 8, generator=generator, dtype=torch.float64)
    centers = 9 * torch.rand(2, 2, 2, generator=generator, dtype=torch.float64) - 1
    weights = torch.rand(2, 2, generator=generator, dtype=torch.float64)
    total = 0.0
    for b in range(2):
        for k in range(2):
            x, y = centers[b, k].tolist()
            for row in range(round(y) - patch_radius, round(y) + patch_radius + 1):
                for column in range(
                    round(x) - patch_radius, round(x) + patch_radius + 1
                ):
                    inside = 0 <= row < 7 and 0 <= column < 8
                    phi = float(heatmaps[b, k, row, column]) if inside else 0.0
                    expected = gaussian(column - x, row - y, sigma)
                    share = (expected - phi) ** 2 / expected
                    total += float(weights[b, k]) * share
    loss = chi_square_loss(
        heatmaps,
        centers,
        patch_radius=patch_radius,
        sigma=sigma,
        sigma_likelihood=sigma_likelihood,
        visible=weights,
    )
    mean = total / float(weights.sum())
    assert loss.item() == pytest.approx(mean / (2 * sigma_likelihood**2), rel=1e-9)


def test_loss_leaves_out_targets_that_are_not_finite():
    generator = torch.Generator().manual_seed(5)
    heatmaps = torch.rand(1, 3, 9, 9, generator=generator)
    centers = torch.tensor([[[4.2, 4.0], [math.nan, 3.0], [math.inf, 1.0]]])
    kwargs = dict(patch_radius=2, sigma=1.0)
    loss = chi_square_loss(heatmaps, centers, **kwargs)
    assert loss == chi_square_loss(heatmaps[:, :1], centers[:, :1], **kwargs) > 0


def test_centers_must_be_cells():
    with pytest.raises(TypeError, match="integer"):
        chi_square_map(
            torch.rand(1, 2, 8, 8),
            torch.rand(1, 2, 2),
            search_radius=1,
            patch_radius=1,
            sigma=1.0,
        )
