"""The search for a landmark's real position against plain loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from semamb_mm.functional import search_latent_targets
from tests.functional.loops import heatmaps_at, loop_chi_square

SEARCH = dict(
    patch_radius=3, sigma=1.5, sigma_prior=50.0, sigma_likelihood=1.0, search_radius=5
)


def test_autocast_does_not_touch_the_search():
    heatmaps = heatmaps_at(torch.tensor([[[9.0, 12.0], [14.2, 8.7]]])).float()
    observed = torch.tensor([[[10.0, 11.0], [13.0, 10.0]]])
    kwargs = dict(SEARCH, subcell="mean")
    outside = search_latent_targets(heatmaps, observed, **kwargs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = search_latent_targets(heatmaps, observed, **kwargs)
    assert torch.equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


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
        (dict(step=0.0), "step must be positive"),
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


def test_parabola_by_hand():
    generator = torch.Generator().manual_seed(11)
    heatmaps = torch.rand(1, 40, 12, 12, generator=generator, dtype=torch.float64)
    observed = 3 + 6 * torch.rand(1, 40, 2, generator=generator, dtype=torch.float64)
    kwargs = dict(SEARCH, search_radius=2, sigma_prior=1.5, sigma_likelihood=5.0)
    cells, _ = search_latent_targets(heatmaps, observed, **kwargs)
    targets, _ = search_latent_targets(heatmaps, observed, subcell="parabola", **kwargs)
    inner = 0
    for k in range(40):
        ox, oy = observed[0, k].tolist()

        def energy(x, y, ox=ox, oy=oy, k=k):
            chi = loop_chi_square(heatmaps[0, k], x, y, 3, 1.5)
            prior = ((x - ox) ** 2 + (y - oy) ** 2) / (2 * 1.5**2)
            return prior + chi / (2 * 5.0**2)

        x, y = (int(v) for v in cells[0, k].tolist())
        expected = [x, y]
        for axis, (dx, dy) in enumerate(((1, 0), (0, 1))):
            if abs((x, y)[axis] - round((ox, oy)[axis])) < 2:  # not at the edge
                before, middle = energy(x - dx, y - dy), energy(x, y)
                after = energy(x + dx, y + dy)
                expected[axis] += (before - after) / (2 * (before - 2 * middle + after))
                inner += 1
        assert targets[0, k].tolist() == pytest.approx(expected, abs=1e-6)
    assert 0 < inner < 80  # some lie at the neighbourhood's edge


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    subcell=st.sampled_from(["none", "parabola", "mean"]),
    radius=st.integers(0, 4),
)
def test_targets_stay_in_the_neighbourhood_of_what_was_observed(seed, subcell, radius):
    generator = torch.Generator().manual_seed(seed)
    heatmaps = torch.randn(2, 2, 11, 10, generator=generator)
    observed = 30 * torch.rand(2, 2, 2, generator=generator) - 10
    options = dict(SEARCH, search_radius=radius, subcell=subcell)
    targets, energy = search_latent_targets(heatmaps, observed, **options)
    assert (targets - observed.round()).abs().max() <= radius + 1e-5
    assert torch.isfinite(energy).all() and (energy >= 0).all()


@pytest.mark.parametrize("subcell", ["none", "parabola", "mean"])
@pytest.mark.parametrize("step", [0.25, 0.5, 2.0])
def test_a_step_finds_a_peak_between_the_cells(step, subcell):
    """Finer than a cell, and coarser on a fine heatmap: within half a step."""
    sigma = 1.5 if step < 1 else 6.0
    generator = torch.Generator().manual_seed(12)
    points = 24 + 4 * torch.rand(1, 50, 2, generator=generator)
    heatmaps = heatmaps_at(points, 52, sigma).float()
    shift = 2 * (torch.rand(1, 50, 2, generator=generator) - 0.5)
    observed = points + shift * sigma
    options = dict(sigma=sigma, sigma_prior=50.0, sigma_likelihood=0.05)
    radius = round(3 * sigma / step)
    targets, _ = search_latent_targets(
        heatmaps,
        observed,
        search_radius=radius,
        patch_radius=round(sigma / step),
        step=step,
        subcell=subcell,
        per_cell=True,
        **options,
    )
    worst = (targets - points).abs().max()
    assert worst <= dict(none=0.51, parabola=0.1, mean=0.25)[subcell] * step


def test_the_prior_is_measured_from_what_was_observed_whatever_the_step():
    """Without any heatmap the target is the observed position, to half a step."""
    observed = torch.tensor([[[8.3, 7.8]]])
    options = dict(patch_radius=1, sigma=1.5, sigma_prior=1.0, sigma_likelihood=1e3)
    for step, radius in ((1.0, 8), (0.5, 16), (0.25, 32)):
        mean, _ = search_latent_targets(
            torch.zeros(1, 1, 16, 16), observed, search_radius=radius, step=step,
            subcell="mean", **options,
        )  # fmt: skip
        cell, _ = search_latent_targets(
            torch.zeros(1, 1, 16, 16), observed, search_radius=radius, step=step,
            **options,
        )  # fmt: skip
        assert (mean - observed).abs().max() < 1e-3
        assert (cell - observed).abs().max() <= step / 2


def test_chi_square_per_cell_does_not_depend_on_the_patchs_size():
    generator = torch.Generator().manual_seed(13)
    heatmaps = torch.rand(1, 2, 20, 20, generator=generator)
    observed = 5 + 10 * torch.rand(1, 2, 2, generator=generator)
    kwargs = dict(SEARCH, patch_radius=2, sigma_likelihood=0.2)
    per_cell = search_latent_targets(heatmaps, observed, per_cell=True, **kwargs)
    kwargs["sigma_likelihood"] *= 5  # of 5 x 5 cells the mean
    for a, b in zip(per_cell, search_latent_targets(heatmaps, observed, **kwargs)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("subcell", ["none", "parabola", "mean"])
def test_at_edge_is_about_the_minimising_candidate(subcell):
    """Peaks inside the neighbourhood of 5 cells, on its rim and beyond it."""
    points = torch.tensor([[[16.0, 16.0]] * 6])
    heatmaps = heatmaps_at(points).float()
    moves = [[0.0, 0.0], [4.0, -4.0], [0.0, 5.0], [-5.0, 1.0], [6.0, 0.0], [0.0, -7.0]]
    observed = points + torch.tensor(moves)
    observed[0, 5] = 50.0
    visible = torch.tensor([[1, 1, 1, 1, 1, 0]])
    kwargs = dict(SEARCH, patch_radius=1, sigma_likelihood=0.2, subcell=subcell)
    result = search_latent_targets(
        heatmaps, observed, visible=visible, return_edge=True, **kwargs
    )
    assert result[2].tolist() == [[False, False, True, True, True, False]]


class NoFloat64(TorchDispatchMode):
    """Refuses float64 off the CPU, as MPS does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, torch.Tensor) and value.device.type != "cpu":
                assert value.dtype != torch.float64, func
        return result


@pytest.mark.parametrize("subcell", ["none", "parabola", "mean"])
def test_a_device_without_float64_is_enough_and_never_waited_for(subcell):
    """The meta device holds no values: whatever asks for one fails."""
    heatmaps = torch.rand(2, 3, 16, 16, device="meta")
    observed = torch.rand(2, 3, 2, device="meta")
    with NoFloat64():
        found = search_latent_targets(
            heatmaps,
            observed,
            visible=torch.ones(2, 3, device="meta"),
            tangents=torch.ones(2, 3, 2, device="meta"),
            sigma_normal=[1.0, 2.0, 3.0],
            step=0.5,
            return_edge=True,
            **dict(SEARCH, subcell=subcell),
        )
    assert found[0].shape == (2, 3, 2) and found[2].shape == (2, 3)


def test_positions_must_be_floating_point():
    with pytest.raises(TypeError, match="floating"):
        search_latent_targets(
            torch.rand(1, 2, 8, 8), torch.ones(1, 2, 2).long(), **SEARCH
        )
