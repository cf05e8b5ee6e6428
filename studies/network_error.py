"""What consensus does where the network errs at each landmark by itself.

Needs no network and no pictures: annotations, the views' positions and their errors are
drawn. All landmarks of a sample share one error of 1, and each has its own of u, of
which the views show all, a half, or nothing at all. Prints the RMS error of targets
along one axis, of

- the former way, which takes all that is each landmark's own for the annotator's;
- the spread of the views alone;
- the spread, and which part of it landmarks do not share (scatter).

The annotations' own error is 1, in the second table 0: the targets should not be worse.
"""

import argparse

import torch
from torch import Tensor

from semamb_mm.functional import ViewScatter, consensus_targets

# Variance of a landmark's own error, in u squared: the same in all views, and fresh in
# each; standard deviation of what all landmarks of a view share, fresh in each.
REGIMES = {
    "fresh in each view": (0.0, 1.0, 0.0),
    "half the same, half fresh": (0.5, 0.5, 0.0),
    "the same, views scatter by as much": (1.0, 1.0, 0.0),
    "the same, views also shifted as a whole by 1": (1.0, 1.0, 1.0),
    "beyond what is assumed: fresh a third": (1.0, 0.5, 0.0),
    "beyond all knowledge: views all alike": (1.0, 0.0, 0.0),
}
OWN = (0.0, 0.5, 1.0, 1.5, 2.0)


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--landmarks", type=int, default=20)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser.parse_args(argv)


def simulate(
    own: float,
    regime: tuple[float, float, float],
    noise: float = 1.0,
    samples: int = 1000,
    landmarks: int = 20,
    views: int = 8,
    seed: int = 0,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return annotations and the views' mean ``(N, K, 2)``, and what the views tell.

    The true landmarks are at 0.

    Args:
        own: ``u``.
        regime: A value of :data:`REGIMES`.
        noise: The annotators' standard deviation.
        samples: ``N``.
        landmarks: ``K``.
        views: Views of a sample.
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, 2, generator=generator, dtype=torch.float64)

    same, fresh, moved = regime
    found = normal(samples, 1) + own * same**0.5 * normal(samples, landmarks)
    found = found + own * fresh**0.5 * normal(views, samples, landmarks)
    found = found + moved * normal(views, samples, 1)
    mean, told = told_by(found)
    return noise * normal(samples, landmarks), mean, told


def told_by(views: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the mean of two or more views, and what else consensus takes of them.

    Args:
        views: ``(V, N, K, 2)`` positions of the same samples.
    """
    number, samples, landmarks, _ = views.shape
    mean = views.mean(0)
    apart = views - mean
    pairs = (0, 0), (1, 1), (0, 1)
    spread = [(apart[..., a] * apart[..., b]).sum(0) / (number - 1) for a, b in pairs]
    scatter = ViewScatter(landmarks)
    everywhere = torch.ones(samples, landmarks, dtype=torch.bool)
    for view in apart:
        scatter.update(view * (number / (number - 1)) ** 0.5, everywhere)
    told = dict(
        spread=torch.stack(spread, -1),
        counts=torch.full((samples, landmarks), number),
        scatter=scatter.covariance(),
    )
    return mean, told


def errors(observed: Tensor, found: Tensor, told: dict[str, Tensor]) -> list[float]:
    """Return the RMS errors along an axis: former, spread alone, with scatter."""
    ways: list[dict[str, Tensor]] = [{}, dict(told), dict(told)]
    del ways[1]["scatter"]
    return [
        float(consensus_targets(observed, found, **way).square().mean().sqrt())
        for way in ways
    ]


def main(argv=None):
    """Print the tables."""
    args = parse_args(argv)
    sizes = dict(samples=args.samples, landmarks=args.landmarks, views=args.views)
    for noise in (1.0, 0.0):
        print(f"\nannotator noise {noise:g}; mean of seeds {args.seeds}")
        print(f"{'own error of the network':<46}{'u':>5}", end="")
        print(f"{'former':>9}{'spread':>9}{'scatter':>9}")
        for name, regime in REGIMES.items():
            for own in OWN:
                rows = [
                    errors(*simulate(own, regime, noise, **sizes, seed=seed))
                    for seed in args.seeds
                ]
                mean = torch.tensor(rows).mean(0).tolist()
                cells = "".join(f"{value:>9.2f}" for value in mean)
                print(f"{name:<46}{own:>5.1f}{cells}")


if __name__ == "__main__":
    main()
