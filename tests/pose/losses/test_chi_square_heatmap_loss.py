import math

import pytest
import torch

from semamb_mm.functional import chi_square_loss
from semamb_mm.pose.losses import ChiSquareHeatmapLoss


def gaussians(sigma=1.5):
    cells = torch.arange(16.0)
    profile = torch.exp(-((cells - 8.0) ** 2) / (2 * sigma**2))
    return (profile[:, None] * profile).expand(1, 2, 16, 16).clone()


def test_equals_the_papers_loss_where_its_disc_is_a_patch():
    """With no background, error only inside a 3 x 3 patch around the target."""
    target = gaussians()
    output = target.clone()
    generator = torch.Generator().manual_seed(0)
    output[..., 7:10, 7:10] += torch.rand(1, 2, 3, 3, generator=generator)
    ours = ChiSquareHeatmapLoss(radius_in_sigmas=1.0, background_weight=0.0)
    paper = chi_square_loss(
        output, torch.full((1, 2, 2), 8.0), patch_radius=1, sigma=1.5
    )
    assert ours(output, target).item() == pytest.approx(2 * paper.item() / 256)


def test_background_is_a_weighted_square():
    target = gaussians()
    output = target.clone()
    output[..., 0, 0] = 0.5
    far = ChiSquareHeatmapLoss(background_weight=3.0)(output, target)
    expected = 3.0 * (0.5 - target[0, 0, 0, 0].item()) ** 2 / 256
    assert far.item() == pytest.approx(expected, rel=1e-5)
    assert ChiSquareHeatmapLoss(background_weight=0.0)(output, target) == 0


def test_weights_mask_and_gradient():
    target, output = gaussians(), torch.zeros(1, 2, 16, 16, requires_grad=True)
    loss = ChiSquareHeatmapLoss()
    full = loss(output, target, torch.ones(1, 2))
    half = loss(output, target, torch.tensor([[1.0, 0.0]]))
    assert half.item() == pytest.approx(full.item() / 2)
    mask = torch.zeros(1, 2, 16, 16)
    assert loss(output, target, mask=mask) == 0
    full.backward()
    assert torch.isfinite(output.grad).all() and output.grad[0, 0, 8, 8] < 0
    patch = ChiSquareHeatmapLoss(radius_in_sigmas=2.0)
    assert patch.floor == pytest.approx(math.exp(-2))


def test_half_precision_is_computed_in_float32():
    target = gaussians().to(torch.bfloat16)
    loss = ChiSquareHeatmapLoss()(torch.zeros_like(target), target)
    assert loss.dtype == torch.float32


def test_bad_radius_is_named():
    with pytest.raises(ValueError, match="radius_in_sigmas"):
        ChiSquareHeatmapLoss(radius_in_sigmas=0)
