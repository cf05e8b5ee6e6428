"""Consensus whose evidence is how several networks differ."""

from dataclasses import dataclass

import pytest
import torch

from semamb_mm.functional import ViewScatter, consensus_targets

LANDMARKS = 12


@dataclass
class Case:
    """Truth, annotations and several networks' results, ``(networks, n, K, 2)``."""

    truth: torch.Tensor
    observed: torch.Tensor
    networks: torch.Tensor

    def targets(self, **options):
        """Return targets of the networks' mean."""
        found = self.networks.mean(0)
        number = len(self.networks)
        apart = self.networks - found
        x, y = apart.unbind(-1)
        spread = torch.stack((x * x, y * y, x * y), -1).sum(0) / (number - 1)
        scatter = ViewScatter(found.shape[1])
        for one in apart:
            scatter.update(
                one * (number / (number - 1)) ** 0.5,
                torch.ones(one.shape[:2], dtype=torch.bool),
            )
        return consensus_targets(
            self.observed,
            found,
            spread=spread,
            counts=torch.full(found.shape[:2], number),
            **{"view_covariance": scatter.whole(), "evidence": "views", **options},
        )

    def error(self, points):
        """Return the RMS error of a coordinate."""
        return float((points - self.truth).square().mean().sqrt())


def case(alike=0.6, same=0.3, noise=0.1, networks=3, samples=300, seed=0):
    """Annotators whose errors at neighbours are alike, networks that share errors.

    Args:
        alike: Correlation of an annotator's errors at neighbouring landmarks.
        same: Share of a network's variance that is the same in all networks.
        noise: Deviation of annotations; that of networks is 0.1.
        networks: How many.
        samples: How many.
        seed: Of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    def of_a_network():
        common, own = normal(samples, 1, 2), normal(samples, LANDMARKS, 2)
        return 0.1 * (common + own) / 2**0.5

    places = torch.arange(LANDMARKS)
    root = torch.linalg.cholesky(alike ** (places[:, None] - places).abs())
    truth = normal(samples, 1, 2) + torch.zeros(samples, LANDMARKS, 2)
    observed = truth + noise * (root @ normal(samples, LANDMARKS, 2))
    found = [(1 - same) ** 0.5 * of_a_network() for _ in range(networks)]
    return Case(
        truth, observed, truth + same**0.5 * of_a_network() + torch.stack(found)
    )


@pytest.mark.parametrize("seed", range(3))
def test_noise_that_neighbours_share_is_taken_back(seed):
    one = case(seed=seed)
    noise = one.error(one.observed)
    assert one.error(one.targets()) < 0.75 * noise
    # Else it is taken for the network's.
    assert one.error(one.targets(evidence="landmarks")) > 0.82 * noise
    # As good as what knows the errors' size.
    halfway = (one.observed + one.networks.mean(0)) / 2
    assert one.error(one.targets(network_share=0.5)) < 1.05 * one.error(halfway)


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("same", [0.0, 0.33])
@pytest.mark.parametrize(("networks", "samples"), [(2, 300), (4, 100), (2, 1000)])
def test_targets_are_no_worse_than_annotations(noise, same, networks, samples):
    """Where networks share less of their error than ``network_share`` allows for."""
    for alike in (0.01, 0.9):
        one = case(alike, same, noise, networks, samples)
        allowed = one.error(one.observed) + 0.1 * one.error(one.networks.mean(0))
        assert one.error(one.targets()) < allowed


def test_networks_that_agree_are_believed():
    one = case(same=0.0, networks=2)
    one.networks = one.truth + 0.01 * (one.networks - one.truth)
    assert one.error(one.targets(noise_share=1.0)) < 0.1 * one.error(one.observed)


def test_without_a_covariance_of_views_nothing_moves():
    one = case()
    torch.testing.assert_close(
        one.targets(view_covariance=None, clip=100.0), one.observed
    )


def test_the_whole_covariance_is_that_of_the_views():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(8, 8, generator=generator)
    apart = torch.randn(5000, 8, generator=generator) @ root
    scatter = ViewScatter(4)
    scatter.update(apart.view(-1, 4, 2), torch.ones(5000, 4, dtype=torch.bool))
    expected = apart.T.cov().double()
    torch.testing.assert_close(
        scatter.whole(), expected, rtol=0, atol=0.03 * float(expected.diagonal().max())
    )
