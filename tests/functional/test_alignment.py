"""The alignment mathematics against plain loops written from the paper."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import (
    chi_square_loss,
    chi_square_map,
    curve_tangents,
    gaussian_patch,
    search_latent_targets,
)

RADII = [(0, 0), (1, 2), (3, 1), (2, 4), (8, 3)]


def gaussian(distance_x, distance_y, sigma):
    return math.exp(-(distance_x**2 + distance_y**2) / (2 * sigma**2))


def loop_chi_square(heatmap, x, y, patch_radius, sigma):
    """One chi-square, cell by cell, in float64."""
    height, width = heatmap.shape
    total = 0.0
    for dy in range(-patch_radius, patch_radius + 1):
        for dx in range(-patch_radius, patch_radius + 1):
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            phi = float(heatmap[y + dy, x + dx]) if inside else 0.0
            expected = gaussian(dx, dy, sigma)
            total += (expected - phi) ** 2 / expected
    return total


def loop_map(heatmaps, centers, search_radius, patch_radius, sigma):
    side = 2 * search_radius + 1
    result = torch.zeros(*heatmaps.shape[:2], side, side, dtype=torch.float64)
    for b, k in torch.cartesian_prod(*map(torch.arange, heatmaps.shape[:2])).tolist():
        x, y = centers[b, k].tolist()
        for row in range(side):
            for column in range(side):
                result[b, k, row, column] = loop_chi_square(
                    heatmaps[b, k].double(),
                    x + column - search_radius,
                    y + row - search_radius,
                    patch_radius,
                    sigma,
                )
    return result


def heatmaps_at(points, size=32, sigma=1.5, dtype=torch.float64):
    """Perfect Gaussians: (B, K, size, size) for points (B, K, 2)."""
    cells = torch.arange(size, dtype=dtype)
    x = (cells - points[..., :1].to(dtype)).square()
    y = (cells - points[..., 1:].to(dtype)).square()
    return torch.exp(-(x[..., None, :] + y[..., :, None]) / (2 * sigma**2))


SEARCH = dict(
    patch_radius=3, sigma=1.5, sigma_prior=50.0, sigma_likelihood=1.0, search_radius=5
)


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
    found = chi_square_map(
        heatmaps,
        centers,
        search_radius=search_radius,
        patch_radius=patch_radius,
        sigma=sigma,
    )
    expected = loop_map(heatmaps, centers, search_radius, patch_radius, sigma)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-9)


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
    found = chi_square_map(
        heatmaps,
        centers,
        search_radius=search_radius,
        patch_radius=patch_radius,
        sigma=sigma,
    )
    expected = loop_map(heatmaps, centers, search_radius, patch_radius, sigma)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_heatmaps_are_computed_in_float32(dtype):
    heatmaps = torch.rand(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    centers = torch.tensor([[[5, 5], [0, 11]]])
    half = heatmaps.to(dtype)
    kwargs = dict(search_radius=2, patch_radius=3, sigma=1.0)
    found = chi_square_map(half, centers, **kwargs)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, chi_square_map(half.float(), centers, **kwargs))


def test_autocast_does_not_touch_the_search():
    heatmaps = heatmaps_at(torch.tensor([[[9.0, 12.0], [14.2, 8.7]]])).float()
    observed = torch.tensor([[[10.0, 11.0], [13.0, 10.0]]])
    kwargs = dict(SEARCH, subcell="mean")
    outside = search_latent_targets(heatmaps, observed, **kwargs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = search_latent_targets(heatmaps, observed, **kwargs)
    assert torch.equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


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


@settings(max_examples=40, deadline=None)
@given(
    x=st.integers(6, 25), y=st.integers(6, 25),
    dx=st.integers(-5, 5), dy=st.integers(-5, 5),
    subcell=st.sampled_from(["none", "parabola"]),
)  # fmt: skip
def test_perfect_gaussian_in_the_neighbourhood_is_found(x, y, dx, dy, subcell):
    truth = torch.tensor([[[float(x), float(y)]]])
    observed = truth + torch.tensor([float(dx), float(dy)])
    targets, energy = search_latent_targets(
        heatmaps_at(truth), observed, subcell=subcell, **SEARCH
    )
    tolerance = 0 if subcell == "none" else 0.05
    assert (targets - truth).abs().max() <= tolerance
    assert energy.shape == (1, 1)


@settings(max_examples=25, deadline=None)
@given(
    shift_x=st.integers(-4, 4), shift_y=st.integers(-4, 4), seed=st.integers(0, 2**31),
    subcell=st.sampled_from(["none", "parabola", "mean"]),
)  # fmt: skip
def test_shifting_everything_shifts_the_answer(shift_x, shift_y, seed, subcell):
    generator = torch.Generator().manual_seed(seed)
    heatmaps = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    heatmaps[..., 10:38, 10:38] = torch.rand(28, 28, generator=generator).double()
    observed = torch.tensor([[[23.3, 24.6]]], dtype=torch.float64)
    shift = torch.tensor([float(shift_x), float(shift_y)])
    moved = heatmaps.roll((shift_y, shift_x), (-2, -1))
    kwargs = dict(SEARCH, subcell=subcell, sigma_prior=3.0)
    before, energy = search_latent_targets(heatmaps, observed, **kwargs)
    after, energy_after = search_latent_targets(moved, observed + shift, **kwargs)
    torch.testing.assert_close(after, before + shift)
    torch.testing.assert_close(energy_after, energy)


def test_search_is_the_minimum_of_prior_and_likelihood():
    generator = torch.Generator().manual_seed(5)
    heatmaps = torch.rand(2, 3, 16, 16, generator=generator, dtype=torch.float64)
    observed = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) * 15
    kwargs = dict(SEARCH, search_radius=2, sigma_prior=1.7, sigma_likelihood=3.0)
    targets, energies = search_latent_targets(heatmaps, observed, **kwargs)
    for b in range(2):
        for k in range(3):
            best = (math.inf, None)
            ox, oy = observed[b, k].tolist()
            for y in range(round(oy) - 2, round(oy) + 3):
                for x in range(round(ox) - 2, round(ox) + 3):
                    chi = loop_chi_square(heatmaps[b, k], x, y, 3, 1.5)
                    prior = ((x - ox) ** 2 + (y - oy) ** 2) / (2 * 1.7**2)
                    best = min(best, (prior + chi / (2 * 3.0**2), (x, y)))
            assert tuple(targets[b, k].tolist()) == best[1]
            assert energies[b, k].item() == pytest.approx(best[0], rel=1e-9)


@pytest.mark.parametrize("subcell", ["none", "parabola", "mean"])
def test_each_landmark_may_have_its_own_sigmas(subcell):
    generator = torch.Generator().manual_seed(8)
    heatmaps = torch.rand(2, 3, 16, 16, generator=generator, dtype=torch.float64)
    observed = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) * 15
    kwargs = dict(SEARCH, subcell=subcell)
    priors, likelihoods = [0.5, 2.0, 8.0], [4.0, 1.0, 0.5]
    kwargs.update(sigma_prior=priors, sigma_likelihood=likelihoods)
    together = search_latent_targets(heatmaps, observed, **kwargs)
    for k in range(3):
        kwargs.update(sigma_prior=priors[k], sigma_likelihood=likelihoods[k])
        alone = search_latent_targets(
            heatmaps[:, k : k + 1], observed[:, k : k + 1], **kwargs
        )
        for a, b in zip(together, alone):
            torch.testing.assert_close(a[:, k : k + 1], b)


def test_prior_along_and_across_a_curve_by_hand():
    generator = torch.Generator().manual_seed(9)
    heatmaps = torch.rand(1, 2, 12, 12, generator=generator, dtype=torch.float64)
    observed = torch.tensor([[[5.3, 6.2], [6.0, 5.0]]], dtype=torch.float64)
    angle = 0.7
    tangents = torch.tensor([[[math.cos(angle), math.sin(angle)], [0.0, 0.0]]])
    kwargs = dict(SEARCH, search_radius=3, sigma_prior=3.0, sigma_likelihood=5.0)
    targets, energies = search_latent_targets(
        heatmaps, observed, tangents=tangents.double(), sigma_normal=0.6, **kwargs
    )
    for k, normal in enumerate((0.6, 3.0)):  # no tangent: the paper's prior
        best = (math.inf, None)
        ox, oy = observed[0, k].tolist()
        for y in range(round(oy) - 3, round(oy) + 4):
            for x in range(round(ox) - 3, round(ox) + 4):
                along = (x - ox) * math.cos(angle) + (y - oy) * math.sin(angle)
                across = (y - oy) * math.cos(angle) - (x - ox) * math.sin(angle)
                prior = along**2 / (2 * 3.0**2) + across**2 / (2 * normal**2)
                chi = loop_chi_square(heatmaps[0, k], x, y, 3, 1.5)
                best = min(best, (prior + chi / (2 * 5.0**2), (x, y)))
        assert tuple(targets[0, k].tolist()) == best[1]
        assert energies[0, k].item() == pytest.approx(best[0], rel=1e-6)


def test_tangents_by_hand():
    points = torch.tensor(
        [[[0.0, 0.0], [3.0, 4.0], [6.0, 0.0], [9.0, 9.0], [9.0, 9.0], [1.0, 1.0]]]
    )
    tangents = curve_tangents(points, [[0, 1, 2], [3, 4]])[0].tolist()
    assert tangents[0] == pytest.approx([0.6, 0.8])
    assert tangents[1] == pytest.approx([1.0, 0.0])
    assert tangents[2] == pytest.approx([0.6, -0.8])
    assert tangents[3] == tangents[4] == tangents[5] == [0.0, 0.0]
    visible = torch.tensor([[1, 1, 0, 1, 1, 1]])
    points[0, 2] = float("nan")
    tangents = curve_tangents(points, [[0, 1, 2]], visible)[0].tolist()
    assert tangents[1] == pytest.approx([0.6, 0.8])
    assert tangents[2] == [0.0, 0.0]
    for curves in ([[0, 6]], [[0, 1], [1, 2]], [[-1, 0]]):
        with pytest.raises(ValueError, match="curves must hold"):
            curve_tangents(points, curves)


def test_posterior_mean_by_hand():
    generator = torch.Generator().manual_seed(6)
    heatmaps = torch.rand(1, 1, 9, 9, generator=generator, dtype=torch.float64)
    observed = torch.tensor([[[4.2, 3.9]]], dtype=torch.float64)
    kwargs = dict(SEARCH, search_radius=1, sigma_prior=1.0, sigma_likelihood=4.0)
    targets, _ = search_latent_targets(heatmaps, observed, subcell="mean", **kwargs)
    total = mean_x = mean_y = 0.0
    for y in (3, 4, 5):
        for x in (3, 4, 5):
            chi = loop_chi_square(heatmaps[0, 0], x, y, 3, 1.5)
            prior = ((x - 4.2) ** 2 + (y - 3.9) ** 2) / 2
            weight = math.exp(-prior - chi / (2 * 4.0**2))
            total, mean_x, mean_y = (
                total + weight,
                mean_x + weight * x,
                mean_y + weight * y,
            )
    assert targets[0, 0].tolist() == pytest.approx([mean_x / total, mean_y / total])


@pytest.mark.parametrize("subcell", ["none", "parabola", "mean"])
def test_invisible_and_unusable_landmarks_keep_their_target(subcell):
    points = torch.tensor([[[8.0, 8.0], [8.0, 8.0], [8.0, 8.0], [8.0, 8.0]]])
    heatmaps = heatmaps_at(points, 20)
    heatmaps[0, 3] = float("nan")
    observed = points + 2.25
    observed[0, 2] = float("nan")
    targets, energy = search_latent_targets(
        heatmaps,
        observed,
        visible=torch.tensor([[1, 0, 1, 1]]),
        subcell=subcell,
        **SEARCH,
    )
    assert (targets[0, 0] - points[0, 0]).norm() < 2
    assert torch.equal(targets[0, 1], observed[0, 1]) and energy[0, 1] == 0
    assert torch.isnan(targets[0, 2]).all() and energy[0, 2] == math.inf
    assert torch.equal(targets[0, 3], observed[0, 3]) and energy[0, 3] == math.inf


def test_subcell_refinement_comes_nearer_to_a_subcell_truth():
    generator = torch.Generator().manual_seed(7)
    points = 12 + torch.rand(1, 200, 2, generator=generator, dtype=torch.float64) * 8
    heatmaps = heatmaps_at(points)
    errors = {
        subcell: (
            search_latent_targets(heatmaps, points + 1.0, subcell=subcell, **SEARCH)[0]
            - points
        )
        .norm(dim=-1)
        .mean()
        for subcell in ("none", "parabola")
    }
    assert errors["parabola"] < 0.35 * errors["none"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(heatmaps=torch.rand(2, 8, 8)), r"\(B, K, H, W\)"),
        (dict(observed=torch.rand(1, 3, 2)), r"expected \(1, 2, 2\)"),
        (dict(sigma=0.0), "sigma must be positive"),
        (dict(sigma_prior=-1.0), "sigma_prior"),
        (dict(sigma_likelihood=float("nan")), "sigma_likelihood"),
        (dict(sigma_likelihood=[1.0, 0.0]), "sigma_likelihood must be positive"),
        (dict(sigma_prior=[1.0, 2.0, 3.0]), "each of the 2 landmarks, got 3"),
        (dict(patch_radius=1.5), "patch_radius"),
        (dict(search_radius=-1), "search_radius"),
        (dict(subcell="cubic"), "subcell"),
        (dict(visible=torch.ones(2, 2)), "visible"),
        (dict(sigma_normal=1.0), "go together"),
        (dict(sigma_normal=0.0, tangents=torch.zeros(1, 2, 2)), "sigma_normal"),
        (dict(sigma_normal=1.0, tangents=torch.zeros(1, 1, 2)), "tangents must have"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = dict(
        SEARCH, heatmaps=torch.rand(1, 2, 8, 8), observed=torch.rand(1, 2, 2)
    )
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        search_latent_targets(**arguments)


def test_types_of_positions_are_checked():
    heatmaps = torch.rand(1, 2, 8, 8)
    with pytest.raises(TypeError, match="integer"):
        chi_square_map(
            heatmaps, torch.rand(1, 2, 2), search_radius=1, patch_radius=1, sigma=1.0
        )
    with pytest.raises(TypeError, match="floating"):
        search_latent_targets(heatmaps, torch.ones(1, 2, 2).long(), **SEARCH)
