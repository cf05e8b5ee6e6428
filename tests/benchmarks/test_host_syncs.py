"""Nothing in the search makes the host wait for the device; the device is meta."""

from collections import Counter
from contextlib import suppress

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from benchmarks.host_syncs import HostSyncs
from benchmarks.search_speed import make_batch
from semamb_mm.functional import (
    chi_square_loss,
    search_latent_targets,
    search_separable_targets,
)
from semamb_mm.pose.latent_targets.search import BatchSearch, complete_search_options

SEARCH = dict(
    search_radius=3,
    patch_radius=1,
    sigma=1.5,
    sigma_prior=4.0,
    sigma_likelihood=1.0,
    return_edge=True,
)


def points(*shape, device="meta"):
    return torch.ones(*shape, device=device)


@pytest.mark.parametrize(
    "options",
    [
        dict(subcell="none"),
        dict(subcell="parabola", step=0.5),
        dict(subcell="mean", step=2.0, sigma_prior=[2.0, 3.0, 4.0]),
        dict(tangents=points(2, 3, 2), sigma_normal=1.0, per_cell=True),
    ],
)
@pytest.mark.parametrize("separable", [False, True])
def test_the_search_waits_for_nothing(options, separable):
    maps, search = points(2, 3, 16, 16), search_latent_targets
    if separable:
        maps, search = (points(2, 3, 16), points(2, 3, 12)), search_separable_targets
    with HostSyncs() as syncs:
        found = search(
            maps, points(2, 3, 2), visible=points(2, 3), **{**SEARCH, **options}
        )
    assert syncs.found == Counter()
    assert [tensor.device.type for tensor in found] == ["meta"] * 3


def test_the_papers_loss_waits_for_nothing():
    heatmaps = points(2, 3, 16, 16).requires_grad_()
    with HostSyncs() as syncs:
        chi_square_loss(
            heatmaps, points(2, 3, 2), patch_radius=2, sigma=1.5, visible=points(2, 3)
        ).backward()
    assert syncs.found == Counter()


@pytest.mark.parametrize("curves", [None, [[0, 1, 2]]])
def test_a_batch_is_fetched_at_once(curves, monkeypatch):
    """Head, observers and search: the host waits for what was found, once."""
    init_default_scope("mmpose")
    case = dict(input_size=(32, 32), heatmap_size=(8, 8), sigma=1.0, landmarks=4)
    sizes = {key: case[key] for key in ("input_size", "heatmap_size", "sigma")}
    codec = dict(type="MSRAHeatmap", unbiased=True, **sizes)
    head = MODELS.build(
        dict(
            type="SemanticAlignmentHead",
            in_channels=6,
            out_channels=4,
            deconv_out_channels=None,
            decoder=codec,
        )
    ).to("meta")
    _, samples = make_batch(case, 2, "cpu")
    search = dict(curves=curves, prior_across=1.0) if curves else None
    options = complete_search_options(search, head.search_grid, 4, "the test")
    batch_search = BatchSearch(options, head.search_grid, "annotation", False)
    fetched = []

    def fetch(tensor):
        fetched.append(tensor.shape)
        return torch.zeros(tensor.shape, dtype=tensor.dtype)

    monkeypatch.setattr(torch.Tensor, "cpu", fetch)
    results = []
    with (
        HostSyncs() as syncs,
        head.register_heatmap_observer(
            lambda heatmaps: results.append(batch_search(heatmaps.detach(), samples))
        ),
    ):
        head([points(2, 6, 8, 8)])
    assert syncs.found == Counter()
    assert results[0].found.shape == (2, 4, 2)
    assert len(fetched) == 1


def test_what_waits_is_counted():
    values, mask = points(4), points(4).bool()
    host = torch.arange(4.0)
    calls = (
        lambda: float(values.sum()),
        lambda: values[mask],
        lambda: mask.nonzero(),
        lambda: host.to("meta"),
        lambda: host.to("meta", non_blocking=True),
        lambda: values.to(torch.float64),
        lambda: float(host.sum()),
    )
    kinds = Counter()
    for call in calls:
        with HostSyncs() as syncs, suppress(RuntimeError, NotImplementedError):
            call()
        kinds.update(found.split()[0] for found in syncs.found)
    assert kinds == dict(_local_scalar_dense=1, index=1, nonzero=1, copy=1)
