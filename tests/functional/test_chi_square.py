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

# Of chi_square_map, as a share of chi-square and the ideal patch's sum together.
FLOAT32_ERROR = 1e-6
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
    total = float(gaussian_patch(patch_radius, sigma, dtype=torch.float64).sum())
    share = 1e-12 if heatmaps.dtype == torch.float64 else FLOAT32_ERROR
    assert ((found.double() - expected).abs() <= share * (expected + total)).all()
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


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    sigma=st.floats(1.0, 8.0),
    patch=st.floats(0.5, 5.0),
    offset=st.sampled_from([0.0, 1e-3, 0.3, 10.0]),
    step=st.sampled_from([1.0, 0.5, 1.7]),
)
def test_float32_loses_little_though_the_sums_cancel(seed, sigma, patch, offset, step):
    """At a perfect fit, near one, and far from it, up to 1 / E of exp(25)."""
    generator = torch.Generator().manual_seed(seed)
    point = torch.tensor([[[20.0, 20.0]]], dtype=torch.float64)
    ideal = heatmaps_at(point, 41, sigma)
    noise = torch.randn(ideal.shape, generator=generator, dtype=torch.float64)
    heatmaps = (ideal + offset * noise * ideal).float()
    options = dict(search_radius=4, patch_radius=max(1, round(patch * sigma / step)))
    options.update(sigma=sigma, step=step)
    single, double = (
        chi_square_map(maps, point.long(), **options)
        for maps in (heatmaps, heatmaps.double())
    )
    assert single.dtype == torch.float32
    total = gaussian_patch(options["patch_radius"], sigma / step).sum()
    error = (single.double() - double).abs()
    assert (error <= FLOAT32_ERROR * (double + total)).all()
    assert (single >= 0).all()


def keys(distance):
    """Keys' cubic convolution kernel, a = -1/2, by its formula."""
    d, a = abs(distance), -0.5
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


@pytest.mark.parametrize("step", [0.5, 0.4, 1.3, 2.0])
def test_a_step_looks_at_the_interpolated_heatmap(step):
    generator = torch.Generator().manual_seed(3)
    heatmap = torch.rand(12, 14, generator=generator, dtype=torch.float64)
    centre, radius, patch, sigma = (3, 9), 2, 1, 1.5

    def value(x, y):
        return sum(
            keys(x - column) * keys(y - row) * float(heatmap[row, column])
            for row in range(12)
            for column in range(14)
        )

    found = chi_square_map(
        heatmap[None, None],
        torch.tensor([[centre]]),
        search_radius=radius,
        patch_radius=patch,
        sigma=sigma,
        step=step,
    )
    for row in range(2 * radius + 1):
        for column in range(2 * radius + 1):
            total = 0.0
            for dy in range(-patch, patch + 1):
                for dx in range(-patch, patch + 1):
                    ideal = gaussian(dx * step, dy * step, sigma)
                    x = centre[0] + step * (column - radius + dx)
                    y = centre[1] + step * (row - radius + dy)
                    total += (ideal - value(x, y)) ** 2 / ideal
            assert found[0, 0, row, column].item() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("step", [2.0, 3.0])
def test_a_step_of_whole_cells_reads_only_them(step):
    """Also at borders, where the last line begins behind the last map's memory."""
    generator = torch.Generator().manual_seed(5)
    heatmaps = torch.rand(2, 3, 20, 22, generator=generator)
    centers = torch.tensor([[[0, 0], [21, 19], [9, 8]], [[-4, 3], [2, 22], [21, 19]]])
    kwargs = dict(search_radius=2, patch_radius=1, sigma=2.5, step=step)
    found = chi_square_map(heatmaps, centers, **kwargs)
    kwargs["step"] = step + 1e-9  # interpolates
    torch.testing.assert_close(found, chi_square_map(heatmaps, centers, **kwargs))


def test_a_map_that_is_not_finite_leaves_its_neighbours_alone():
    """Crops at the borders read across them in memory."""
    generator = torch.Generator().manual_seed(6)
    heatmaps = torch.rand(1, 5, 12, 12, generator=generator)
    centers = torch.tensor([[[0, 0], [11, 11], [0, 11], [11, 0], [0, 0]]])
    kwargs = dict(search_radius=2, patch_radius=1, sigma=1.0)
    expected = chi_square_map(heatmaps, centers, **kwargs)
    heatmaps[0, 2] = math.nan
    found = chi_square_map(heatmaps, centers, **kwargs)
    assert not torch.isfinite(found[0, 2]).any()
    others = [0, 1, 3, 4]
    assert torch.equal(found[0, others], expected[0, others])


@pytest.mark.parametrize("step", [0.5, 1, 2])
def test_the_layout_in_memory_does_not_matter(step):
    generator = torch.Generator().manual_seed(7)
    heatmaps = torch.rand(2, 3, 16, 16, generator=generator)
    centers = torch.randint(-2, 18, (2, 3, 2), generator=generator)
    kwargs = dict(search_radius=3, patch_radius=1, sigma=3.0, step=step)
    expected = chi_square_map(heatmaps, centers, **kwargs)
    last = heatmaps.contiguous(memory_format=torch.channels_last)
    wide = torch.full((2, 5, 20, 20), math.nan)
    wide[:, 1:4, 2:18, 2:18] = heatmaps
    inner = wide[:, 1:4, 2:18, 2:18]
    for other in (last, inner, heatmaps.clone().requires_grad_()):
        assert torch.allclose(chi_square_map(other, centers, **kwargs), expected)
    repeated = heatmaps[:1].expand(2, -1, -1, -1)
    assert torch.equal(
        chi_square_map(repeated, centers, **kwargs),
        chi_square_map(repeated.contiguous(), centers, **kwargs),
    )


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
