"""The search on two one-dimensional distributions against that on their product."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import search_latent_targets, search_separable_targets

SEARCH = dict(
    search_radius=5, patch_radius=3, sigma=2.0, sigma_prior=4.0, sigma_likelihood=0.7
)
SUBCELLS = ["none", "parabola", "mean"]


def outer(x, y):
    """The heatmaps (B, K, Wy, Wx) that profiles along x and y stand for."""
    return y[..., :, None] * x[..., None, :]


def profiles(seed, widths=(30, 22), landmarks=4, noise=0.3, dtype=torch.float64):
    """Noisy Gaussians of sigma 2, (2, K, W) along each axis, and observations."""
    draw = torch.Generator().manual_seed(seed)
    observed = torch.rand(2, landmarks, 2, generator=draw, dtype=torch.float64)
    observed = observed * torch.tensor(widths) * 1.3 - 3  # some lie outside
    both = []
    for axis, width in enumerate(widths):
        peaks = observed[..., axis] + torch.randn(2, landmarks, generator=draw) * 2
        squares = (torch.arange(width) - peaks[..., None]).square()
        rough = torch.rand(2, landmarks, width, generator=draw) * noise
        both.append((torch.exp(-squares / 8) + rough).to(dtype))
    return tuple(both), observed


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31), subcell=st.sampled_from(SUBCELLS),
    step=st.sampled_from([1.0, 0.6, 1.7, 2.0]), per_cell=st.booleans(),
    curved=st.booleans(),
)  # fmt: skip
def test_equals_the_search_of_the_outer_product(seed, subcell, step, per_cell, curved):
    both, observed = profiles(seed)
    kwargs = dict(SEARCH, subcell=subcell, step=step, per_cell=per_cell)
    kwargs.update(return_edge=True)
    if curved:
        angle = torch.linspace(0, 3, 4)
        tangents = torch.stack((angle.cos(), angle.sin()), dim=-1).expand(2, 4, 2)
        kwargs.update(tangents=tangents * (angle > 0)[:, None], sigma_normal=1.5)
    kwargs["sigma_likelihood"] = [0.2, 0.7, 1.5, 3.0]
    whole = search_latent_targets(outer(*both), observed, **kwargs)
    parts = search_separable_targets(both, observed, **kwargs)
    for a, b in zip(parts, whole):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("subcell", SUBCELLS)
def test_hidden_unknown_and_spoilt_landmarks_as_in_the_outer_product(subcell):
    both, observed = profiles(1)
    both[0][0, 0] = math.nan
    both[1][1, 1, 3:8] = math.inf
    observed[0, 1] = math.nan
    observed[1, 0] = torch.tensor([1e9, -50.0])
    visible = torch.ones(2, 4)
    visible[0, 2] = 0
    kwargs = dict(SEARCH, visible=visible, subcell=subcell, return_edge=True)
    whole = search_latent_targets(outer(*both), observed, **kwargs)
    targets, energy, at_edge = search_separable_targets(both, observed, **kwargs)
    for a, b in zip((targets, energy, at_edge), whole):
        torch.testing.assert_close(a, b, equal_nan=True)
    assert energy[0, 0] == energy[0, 1] == math.inf and energy[0, 2] == 0
    torch.testing.assert_close(targets[0, 2], observed[0, 2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_either_precision(dtype):
    both, observed = profiles(3, dtype=dtype)
    kwargs = dict(SEARCH, subcell="mean")
    whole = search_latent_targets(outer(*both), observed.to(dtype), **kwargs)
    parts = search_separable_targets(both, observed.to(dtype), **kwargs)
    for a, b in zip(parts, whole):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("subcell", SUBCELLS)
def test_with_two_sigmas_it_is_the_search_of_bins_in_which_the_ideal_is_round(subcell):
    """Bins dropped along each axis, three and two in five: a grid of equal sigmas."""
    (x, y), observed = profiles(2, (90, 60))
    each = torch.tensor([3.0, 2.0], dtype=torch.float64)
    observed = (observed / each).round() + torch.tensor([0.1, -0.2])
    angle = torch.linspace(0.3, 3, 4)
    tangents = torch.stack((angle.cos(), angle.sin()), dim=-1).expand(2, 4, 2).double()
    kwargs = dict(search_radius=5, patch_radius=2, sigma_likelihood=0.7)
    kwargs.update(subcell=subcell, return_edge=True)
    coarse = search_latent_targets(
        outer(x[..., ::3], y[..., ::2]), observed, tangents=tangents,
        sigma=2.0, sigma_prior=4.0, sigma_normal=1.5, **kwargs
    )  # fmt: skip
    stretched = tangents * each
    stretched = stretched / stretched.norm(dim=-1, keepdim=True)
    fine = search_separable_targets(
        (x, y), observed * each, tangents=stretched,
        sigma=(6.0, 4.0), sigma_prior=10.0, sigma_normal=3.75, step=2.5, **kwargs
    )  # fmt: skip
    torch.testing.assert_close(fine[0] / each, coarse[0])
    torch.testing.assert_close(fine[1:], coarse[1:])


def test_a_step_between_bins_interpolates():
    """A Gaussian of sigma (5, 4) bins is found at any step, to a share of a bin."""
    truth = torch.tensor([[[40.3, 33.6], [21.7, 50.2]]], dtype=torch.float64)
    bins = torch.arange(80)
    x = torch.exp(-(bins - truth[..., :1]).square() / (2 * 5.0**2))
    y = torch.exp(-(bins - truth[..., 1:]).square() / (2 * 4.0**2))
    observed = truth + torch.tensor([6.0, -5.0])
    for share in (0.25, 1 / 3, 0.5):
        targets, _ = search_separable_targets(
            (x, y),
            observed,
            step=4.5 * share,
            search_radius=round(3 / share),
            patch_radius=round(1 / share),
            sigma=(5.0, 4.0),
            sigma_prior=1e3,
            sigma_likelihood=0.05,
            per_cell=True,
            subcell="parabola",
        )
        assert (targets - truth).abs().max() < 0.1


def test_autocast_does_not_touch_the_search():
    both, observed = profiles(4, dtype=torch.float32)
    outside = search_separable_targets(both, observed, **SEARCH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = search_separable_targets(both, observed, **SEARCH)
    assert torch.equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(sigma=(2.0, 0.0)), "sigma must be positive"),
        (dict(step=0.0), "step must be positive"),
        (dict(patch_radius=80), "patch_radius is too large"),
        (dict(search_radius=1.5), "search_radius must be a non-negative integer"),
        (dict(sigma_prior=[1.0, 2.0]), "one for each of the 4"),
        (dict(subcell="middle"), "subcell must be one of"),
        (dict(sigma_normal=1.0), "go together"),
    ],
)
def test_wrong_options_are_named(changes, message):
    both, observed = profiles(0)
    with pytest.raises(ValueError, match=message):
        search_separable_targets(both, observed, **dict(SEARCH, **changes))


def test_wrong_shapes_are_named():
    (x, y), observed = profiles(0)
    with pytest.raises(ValueError, match="positions for heatmaps"):
        search_separable_targets((x, y[:1]), observed, **SEARCH)
    with pytest.raises(TypeError, match="floating point"):
        search_separable_targets((x, y), observed.long(), **SEARCH)
