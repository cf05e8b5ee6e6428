"""Several annotators: is what is estimated of each one true, and do targets gain?

Cases, one or both of:

- ``simulated``: procedural faces, as three annotators mark them whose noise and
  conventions are known: one careful, one usual, one hasty along the curves, each with
  mean offsets of its own (they sum to zero: a convention that all share cannot be
  seen). Prints how far each estimated covariance is from the true one (Frobenius norm
  over all landmarks, and of single landmarks), and the RMS error of weak landmarks of
  the annotators' mean, of what they say together, and of targets by consensus. The
  network is simulated too: no detector is trained.
- ``xrays``: two dentists, and a detector that is trained on the first one
  (``studies.disagreement``, plain, all five folds, at ``--work-dir``). Prints the noise
  of each by the three-cornered hat, in pixels of the original X-rays, with a detector
  that has not seen the pictures and with one that has, beside the dentists' own repeats
  of equal pictures. Needs XRAY_ROOT.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semamb_mm.faces.landmarks import GROUPS_68, PARTS_68, WEAK_PARTS_68
from semamb_mm.faces.sizes import face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.functional import (
    combine_annotations,
    consensus_targets,
    half_samples,
    interval,
    observer_errors,
)
from semamb_mm.pose.annotator_comparison import pairs_of_a_group
from semamb_mm.synthetic.annotators import AnnotationNoise, displace_by
from semamb_mm.synthetic.faces import true_keypoints

from . import disagreement
from .engine import markdown, spread
from .xrays import FOLDS, xray_root

ANNOTATORS = {
    "careful": AnnotationNoise(0.028, 0.008, 0.012, 0.012, 0.005, 0.004, 0.2),
    "usual": AnnotationNoise(0.039, 0.010, 0.016, 0.016, 0.006, 0.005, 0.3),
    "hasty": AnnotationNoise(0.055, 0.012, 0.024, 0.020, 0.008, 0.007, 0.4),
}
CURVES = [list(PARTS_68[part].landmarks) for part in WEAK_PARTS_68]
SLIDING = CURVES[:1]
OFFSET = 0.5  # of the usual annotator's deviation
NETWORK = 0.02  # RMS of the simulated network's error along an axis, outer eye distance
MODES = 6  # that its errors are made of
ORIGINAL = 0.382  # of a pixel is one of the original X-rays
CASES = ("simulated", "xrays")


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--work-dir", default="work_dirs/disagreement")
    parser.add_argument("--out-dir", default="work_dirs/observers")
    parser.add_argument("--resamples", type=int, default=200)
    return parser.parse_args(argv)


# Simulated


def deviations(noise: AnnotationNoise) -> np.ndarray:
    """Return an annotator's deviations ``(68, 2)``: along and across, or x and y."""
    made = np.full((68, 2), noise.strong)
    made[:17] = noise.contour_along, noise.contour_across
    made[17:27] = noise.brow_along, noise.inner_across
    made[27:31] = noise.bridge_along, noise.inner_across
    return made


def marked_pixels(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth ``(N, 68, 2)`` and marks ``(3, N, 68, 2)`` of faces, in pixels."""
    rng = np.random.default_rng(seed)
    every = [deviations(noise) for noise in ANNOTATORS.values()]
    offsets = OFFSET * every[1] * rng.standard_normal((len(every), 68, 2))
    offsets -= offsets.mean(0)
    truth = np.stack([true_keypoints(seed, i) for i in range(samples)]).astype(float)
    marks = np.stack(
        [
            [
                displace_by(
                    face,
                    rng.standard_normal((68, 2)) + shift,
                    rng.standard_normal(),
                    noise,
                )
                for face in truth
            ]
            for noise, shift in zip(
                ANNOTATORS.values(),
                (
                    o / _scale(d, n)
                    for o, d, n in zip(offsets, every, ANNOTATORS.values())
                ),
            )
        ]
    )
    return truth, marks


def marked(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return truth ``(N, 68, 2)`` and marks ``(3, N, 68, 2)``, in eye distances."""
    truth, marks = marked_pixels(samples, seed)
    units = face_unit(truth)[:, None, None]
    return torch.from_numpy(truth / units), torch.from_numpy(marks / units)


def _scale(deviation: np.ndarray, noise: AnnotationNoise) -> np.ndarray:
    """Return what ``displace_by`` multiplies a landmark's own errors with."""
    made = deviation.copy()
    made[:17, 0] *= (1 - noise.shared) ** 0.5
    return made


def simulated_network(truth: Tensor, seed: int) -> Tensor:
    """Return what a network finds: errors of a few modes that all landmarks share."""
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randn(MODES, truth.shape[1], generator=generator, dtype=truth.dtype)
    error = torch.randn(len(truth), 2, MODES, generator=generator, dtype=truth.dtype)
    error = (error @ modes).mT / MODES**0.5
    own = torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
    return truth + NETWORK * (0.9 * error + 0.19**0.5 * own)


def simulate(samples: int, seed: int) -> dict[str, list[float]]:
    """Return figures of one draw.

    For each annotator the relative error of the covariance over all landmarks, the
    median and the 95th percentile over single ones; RMS errors of weak landmarks in
    percent of the eye distance: mean, together, targets.
    """
    truth, marks = marked(samples, seed)
    errors = observer_errors(marks, curves=CURVES)
    real = np.stack([deviations(noise) ** 2 for noise in ANNOTATORS.values()])
    real = torch.from_numpy(np.concatenate([real, np.zeros((3, 68, 1))], -1))
    weight = torch.tensor([1.0, 1.0, 2.0])
    wrong = ((errors.covariances - real).square() * weight).sum(-1)
    right = (real.square() * weight).sum(-1)
    alone = (wrong / right).sqrt()
    found = simulated_network(truth, seed)
    together, _, _ = combine_annotations(marks, found, curves=CURVES)
    targets = consensus_targets(marks, found, curves=CURVES, sliding=SLIDING)
    weak = GROUPS_68["weak"]

    def rms(points: Tensor) -> float:
        return float(100 * (points - truth)[:, weak].square().sum(-1).mean().sqrt())

    return dict(
        covariance=(wrong.sum(1) / right.sum(1)).sqrt().tolist(),
        median=alone.median(1).values.tolist(),
        high=alone.quantile(0.95, 1).tolist(),
        rms=[rms(marks.mean(0)), rms(together), rms(targets), rms(found)],
    )


def simulated_table(args: argparse.Namespace) -> str:
    """Return Markdown of all draws."""
    rows = []
    for samples in args.samples:
        drawn = [simulate(samples, seed) for seed in args.seeds]
        row = [f"{samples}"]
        for part in ("covariance", "median", "high"):
            values = 100 * np.array([figures[part] for figures in drawn])
            row.append(", ".join(f"{one:.0f}" for one in values.max(0)))
        rms = np.array([figures["rms"] for figures in drawn])
        row += [spread(column) for column in rms.T]
        row.append(spread(rms[:, 2] / rms[:, 0]))
        rows.append(row)
    head = [
        "faces",
        "covariance off by, % (all landmarks)",
        "single landmarks, median",
        "95th percentile",
        "mean",
        "together",
        "targets",
        "network alone",
        "targets / mean",
    ]
    return markdown(head, rows) + "\n"


# X-rays


def predictions(args: argparse.Namespace, seed: int) -> np.ndarray:
    """Return what each fold's detector finds in all pictures, ``(FOLDS, N, K, 2)``.

    They are kept in ``--out-dir``.

    Raises:
        SystemExit: If one is not trained.
    """
    path = Path(args.out_dir) / f"predictions_seed{seed}.npy"
    if path.is_file():
        return np.load(path, allow_pickle=False)
    runs = disagreement.plain_detectors(args.work_dir, 1, seed)
    opinions = disagreement.read_opinions(xray_root(), 1)
    everything = range(len(opinions.names))
    found = np.stack(
        [
            disagreement.predict(run.resolved, run.checkpoint, opinions, everything)
            for run in runs
        ]
    )
    with atomic_write(path, "wb") as file:
        np.save(file, found)
    return found


def xray_rows(args: argparse.Namespace, seed: int) -> list[list[str]]:
    """Return the rows of one seed: held-out, and in sample."""
    found, opinions = (
        predictions(args, seed),
        disagreement.read_opinions(xray_root(), 1),
    )
    rows = []
    for name, shift in (("has not seen", 0), ("has seen", 1)):
        folds = (opinions.folds + shift) % FOLDS
        network = found[folds, np.arange(len(folds))]
        points = torch.from_numpy(np.concatenate([opinions.points, network[None]]))
        figures, drawn = hat(points / ORIGINAL, opinions.groups, args.resamples)
        low, high = interval(figures, drawn)
        cells = [
            f"{value:.1f} ({one:.1f} to {other:.1f})"
            for value, one, other in zip(figures, low, high)
        ]
        rows.append([f"{name} the pictures, seed {seed}", *cells])
    return rows


def hat(points: Tensor, groups: np.ndarray, resamples: int) -> tuple[Tensor, Tensor]:
    """Return RMS noise of each, and how far the network is from each convention.

    Returns:
        ``(5,)`` of all pictures, ``(R, 5)`` of halves of them.
    """

    def figures(rows: Tensor | slice) -> Tensor:
        errors = observer_errors(points[:, rows], network=True)
        apart = (errors.offsets[:2] - errors.offsets[2]).square().sum(-1)
        return torch.cat((errors.variances.mean(1), apart.mean(1))).sqrt()

    generator = torch.Generator().manual_seed(0)
    drawn = half_samples(torch.from_numpy(groups), figures, resamples, generator)
    return figures(slice(None)), drawn


def repeats() -> list[str]:
    """Return a row of the dentists' noise by their repeats of equal pictures."""
    opinions = disagreement.read_opinions(xray_root(), 1)
    first, second = np.array(pairs_of_a_group(opinions.groups)).T
    cells = []
    for points in opinions.points / ORIGINAL:
        squares = ((points[first] - points[second]) ** 2).sum(-1)
        squares = squares[np.isfinite(squares)]
        cells.append(f"{(squares.mean() / 2) ** 0.5:.1f} ({len(squares)} marks)")
    return ["repeats of equal pictures", *cells, "", "", ""]


def xray_table(args: argparse.Namespace) -> str:
    """Return Markdown of all seeds."""
    rows = [row for seed in args.seeds for row in xray_rows(args, seed)]
    head = [
        "a detector trained on dentist 1 that",
        "noise of dentist 1",
        "of dentist 2",
        "of the detector",
        "its convention from 1's",
        "from 2's",
    ]
    return markdown(head, [*rows, repeats()]) + "\n"


def main(argv=None):
    """Print the tables."""
    args = parse_args(argv)
    tables = dict(simulated=simulated_table, xrays=xray_table)
    for case in args.cases:
        print(tables[case](args))


if __name__ == "__main__":
    main()
