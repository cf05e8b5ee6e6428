"""Real disagreement: does a detector gain from targets where two dentists differ?

Lateral head X-rays that two dentists annotated independently, at XRAY_ROOT. Training
knows one of them, ``--annotators``, and the pictures of all folds but one. Methods:

- ``plain``: MMPose's own head on that dentist's annotations;
- ``half as long``: the same for half as many epochs, should plain training overfit;
- ``aligned``: as ``plain``, and from epoch 40 on semantic alignment with consensus;
- ``ceiling``: plain training on the mean of both dentists, in the first one's
  convention: each landmark's mean offset between the two over the training pictures is
  the first one's own;
- ``restart``: training from the first epoch on the targets that the finished plain
  detector finds, by tools/search_targets.py;
- ``cross-fit``: the same with targets of detectors that have not seen what they search,
  as tools/cross_fit.py makes them. Four are needed for each fold that is held out,
  trained without it and another one, of which each serves two folds.

Errors are of the pictures held out, mean distance in percent of the distance from Sella
to Nasion: against the mean of both in the training dentist's convention, whose offsets
are those of the training pictures, against that dentist, and against the other one.
Prints them over all folds, and by how much each method differs from plain training with
the same seed, with the 95 % interval of a bootstrap over groups of equal pictures in
which the methods' errors of a picture stay together.

Finished runs are not repeated and stopped ones go on: give the command again.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmpose.apis import inference_topdown, init_model

from semamb_mm.formats.files import atomic_write

from .cross_targets import cross_targets, make_cross_targets
from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Made,
    Run,
    changed,
    hook,
    keep_checkpoints,
    lengthened,
    markdown,
    measured,
    merged,
    study_parser,
    train_all,
)
from .xrays import FOLDS, on_images, sella_nasion, training_part, xray_root

CONFIGS = ROOT / "studies/configs"
METHODS = ("plain", "half as long", "aligned", "ceiling", "restart", "cross-fit")
VIEWS = 8
# Among them that which alignment begins at.
KEPT = keep_checkpoints(-1, interval=20)
AGAINST = ("mean", "own", "other")
TITLES = dict(mean="the mean of both", own="the training dentist", other="the other")


class Detector(Run):
    """A training without one fold."""

    annotator = property(lambda self: int(self.names[0].split()[1]))
    fold = property(lambda self: int(self.names[1].split()[1]))
    method = property(lambda self: self.names[2])


@dataclass(frozen=True)
class Opinions:
    """What two dentists say of the same pictures.

    Attributes:
        names: Of the pictures, ``N`` of them.
        groups: Of equal pictures, and of the folds, ``(N,)`` each.
        folds: See ``groups``.
        boxes: ``(N, 4)`` left, top, width, height.
        points: ``(2, N, K, 2)`` pixels, the training dentist first; not finite where
            there is no label.
    """

    names: list[str]
    groups: np.ndarray
    folds: np.ndarray
    boxes: np.ndarray
    points: np.ndarray

    def offsets(self, pictures: np.ndarray) -> np.ndarray:
        """Return the training dentist's mean offset ``(K, 2)`` from the mean of both.

        Args:
            pictures: ``(N,)`` bool, those to take it from.
        """
        return np.nanmean((self.points[0] - self.points.mean(0))[pictures], axis=0)

    def means(self, offsets: np.ndarray) -> np.ndarray:
        """Return the mean of both in the training dentist's convention, ``(N, K, 2)``.

        Where one of them has no label, the other's takes its place, brought into that
        convention.
        """
        first, second = self.points
        only = np.where(np.isnan(first), second + 2 * offsets, first)
        both = self.points.mean(0) + offsets
        return np.where(np.isnan(both), only, both)


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/disagreement")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--annotators", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    return parser.parse_args()


def read_opinions(root: Path, annotator: int) -> Opinions:
    """Return both dentists' points, those of ``annotator`` first."""
    both = [
        json.loads((root / f"annotator_{number}.json").read_text())
        for number in (annotator, 3 - annotator)
    ]
    images = {image["id"]: image for content in both for image in content["images"]}
    place = {image: row for row, image in enumerate(sorted(images))}
    keypoints = len(both[0]["annotations"][0]["keypoints"]) // 3
    points = np.full((2, len(images), keypoints, 2), np.nan)
    boxes = np.zeros((len(images), 4))
    for dentist, content in enumerate(both):
        for annotation in content["annotations"]:
            row = place[annotation["image_id"]]
            marks = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
            seen = marks[:, 2] > 0
            points[dentist, row, seen] = marks[seen, :2]
            boxes[row] = annotation["bbox"]
    images = [images[image] for image in place]
    return Opinions(
        [image["file_name"] for image in images],
        np.array([image["group"] for image in images]),
        np.array([image["fold"] for image in images]),
        boxes,
        points,
    )


def mean_part(root: Path, annotator: int, fold: int, work_dir: Path) -> Path:
    """Write the training part with the mean of both dentists; return the file."""
    opinions = read_opinions(root, annotator)
    means = opinions.means(opinions.offsets(opinions.folds != fold))
    content = json.loads(training_part(root, annotator, fold, work_dir).read_text())
    rows = {name: row for row, name in enumerate(opinions.names)}
    names = {image["id"]: image["file_name"] for image in content["images"]}
    for annotation in content["annotations"]:
        marks = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
        points = means[rows[names[annotation["image_id"]]]]
        seen = marks[:, 2] > 0
        marks[seen, :2] = points[seen]
        annotation["keypoints"] = marks.ravel().tolist()
    path = work_dir.resolve() / "xrays" / f"mean_as{annotator}_without{fold}.json"
    with atomic_write(path) as file:
        json.dump(content, file)
    return path


def plan(args) -> list[Detector]:
    """Return a run for each annotator, fold, seed and method."""
    root, work_dir = xray_root(), Path(args.work_dir)
    runs = []
    for seed in args.seeds:
        for annotator in args.annotators:
            for fold in args.folds:
                of = (root, annotator, fold, work_dir)
                runs += [
                    run
                    for run in _methods(of, seed, merged(args.cfg_options))
                    if run.method in args.methods
                ]
    return runs


def plain_detectors(work_dir: str, annotator: int, seed: int) -> list[Detector]:
    """Return the five plain detectors of one annotator.

    Raises:
        SystemExit: If one is not trained yet.
    """
    wanted = dict(annotators=[annotator], seeds=[seed], folds=list(range(FOLDS)))
    wanted.update(methods=["plain"], cfg_options={}, work_dir=work_dir)
    runs = plan(argparse.Namespace(**wanted))
    for run in runs:
        if not run.finished:
            raise SystemExit(
                f"{run.checkpoint} is missing: python -m studies.disagreement "
                f"--methods plain --annotators {annotator} --seeds {seed} trains it"
            )
    return runs


def _methods(of: tuple, seed: int, last) -> list[Detector]:
    root, annotator, fold, work_dir = of
    own = on_images(root, training_part(*of), "")
    mean = on_images(root, mean_part(*of), "")

    def run(method, config, data, *more, **after) -> Detector:
        return Detector(
            (f"annotator {annotator}", f"fold {fold}", method),
            seed,
            work_dir,
            CONFIGS / config,
            (data, *more, KEPT, last),
            **after,
        )

    plain = run("plain", "xrays.py", own)
    start = hook(run("aligned", "xrays_sa.py", own).resolved).start
    found = plain.folder / "targets.npz"
    command = ("tools/search_targets.py", plain.planned, plain.checkpoint)
    command = (*command, "--views", VIEWS, "--out", found)
    return [
        plain,
        run("half as long", "xrays.py", own, lengthened(0.5)),
        run("aligned", "xrays_sa.py", own, after=plain, start=start),
        run("ceiling", "xrays.py", mean),
        run(
            *("restart", "xrays_sa.py", _trained_on(own, found)),
            needs=Made(found, command, plain),
        ),
        run("cross-fit", "xrays_sa.py", _trained_on(own, cross_targets(plain))),
    ]


def _trained_on(own: Change, targets: Path) -> Change:
    def change(config) -> None:
        own(config)
        hook(config).update(start=None, targets=str(targets))

    return change


def cross_fit(plain: Detector, jobs: int, last: Change) -> None:
    """Train the detectors that cross-fitting needs, and make targets by them."""
    detectors = {}
    for other in range(FOLDS):
        if other != plain.fold:
            without = sorted((plain.fold, other))
            part = training_part(
                xray_root(), plain.annotator, without, Path(plain.work_dir)
            )
            detectors[other] = Detector(
                (plain.names[0], f"folds {without[0]} {without[1]}", "plain"),
                plain.seed,
                plain.work_dir,
                plain.config,
                (on_images(xray_root(), part, ""), KEPT, last),
            )
    train_all(list(detectors.values()), jobs)
    content = json.loads(
        (xray_root() / f"annotator_{plain.annotator}.json").read_text()
    )
    folds = {str(xray_root() / i["file_name"]): i["fold"] for i in content["images"]}
    make_cross_targets(
        plain,
        {fold: detector.checkpoint for fold, detector in detectors.items()},
        lambda info: folds[info["img_path"]],
        VIEWS,
    )


def errors_of(run: Detector) -> dict[str, list]:
    """Return the errors of the pictures that a detector has not seen.

    See :func:`held_out_errors`; "the mean of both" is in the training dentist's
    convention.
    """
    opinions = read_opinions(xray_root(), run.annotator)
    return held_out_errors(
        run, run.fold, opinions, opinions.offsets(opinions.folds != run.fold)
    )


def held_out_errors(
    run: Run, fold: int, opinions: Opinions, offsets: np.ndarray
) -> dict[str, list]:
    """Return the errors of the pictures of a fold.

    Args:
        run: A detector that is trained without them.
        fold: Held out.
        opinions: Both dentists'.
        offsets: ``(K, 2)`` the convention that the mean of both is measured in, as
            :meth:`Opinions.offsets` gives it.

    Returns:
        ``groups``, and for each of what they are against (:data:`AGAINST`; "own" is
        the first dentist of ``opinions``) the summed distances of each picture, percent
        of its distance from Sella to Nasion, and of how many landmarks.
    """
    held_out = opinions.folds == fold
    means = opinions.means(offsets)
    truths = dict(mean=means, own=opinions.points[0], other=opinions.points[1])
    found: dict[str, list] = dict(groups=opinions.groups[held_out].tolist())
    rows = np.flatnonzero(held_out)
    predicted = predict(run.resolved, run.checkpoint, opinions, rows)
    units = sella_nasion(means[rows])[:, None]
    for name, truth in truths.items():
        distances = np.linalg.norm(predicted - truth[rows], axis=-1) / units
        seen = np.isfinite(distances)
        found[name] = (100 * np.where(seen, distances, 0)).sum(1).tolist()
        found[f"{name} seen"] = seen.sum(1).tolist()
    return found


def predict(
    config: Config, checkpoint: Path, opinions: Opinions, rows: Sequence[int]
) -> np.ndarray:
    """Return a detector's landmarks in some pictures, ``(n, K, 2)``."""
    config, dataset = config.copy(), config.train_dataloader.dataset
    steps = ("LoadImage", "GetBBoxCenterScale", "TopdownAffine", "PackPoseInputs")
    pipeline = [step for step in dataset.pipeline if step.type in steps]
    config.test_dataloader = dict(dataset=dict(dataset, pipeline=pipeline))
    model = init_model(config, str(checkpoint), device="cpu")
    boxes = opinions.boxes.copy()
    boxes[:, 2:] += boxes[:, :2]
    found = []
    for row in rows:
        image = str(xray_root() / opinions.names[row])
        (sample,) = inference_topdown(model, image, boxes[row][None])
        found.append(sample.pred_instances.keypoints[0])
    return np.stack(found)


def pooled(parts: Sequence[dict]) -> dict[str, np.ndarray]:
    """Return the sums of several runs by group."""
    groups = sorted({group for part in parts for group in part["groups"]})
    place = {group: i for i, group in enumerate(groups)}
    sums = {}
    for name in (name for name in parts[0] if name != "groups"):
        sums[name] = np.zeros(len(groups))
        for part in parts:
            np.add.at(
                sums[name], [place[group] for group in part["groups"]], part[name]
            )
    return sums


def error(sums: dict[str, np.ndarray], against: str, weights: np.ndarray) -> np.ndarray:
    """Return the mean distance, of groups that count so many times."""
    return (weights @ sums[against]) / (weights @ sums[f"{against} seen"])


def compared(
    method: Sequence[dict], plain: Sequence[dict], against: str, draws: int = 4000
) -> tuple[float, float, float, float]:
    """Return a method's error, its change from plain in percent, and the interval.

    Args:
        method: What :func:`errors_of` gave of runs.
        plain: The same of the plain runs of the same annotators, folds and seeds.
        against: One of :data:`AGAINST`.
        draws: Of the bootstrap.
    """
    ours, theirs = pooled(method), pooled(plain)
    count = len(ours[against])

    def ratio(weights: np.ndarray) -> np.ndarray:
        return error(ours, against, weights) / error(theirs, against, weights)

    return float(error(ours, against, np.ones(count))), *changed(ratio, count, draws)


def table(found: dict[Detector, dict]) -> str:
    """Return Markdown of the errors of finished runs."""
    rows = []
    for annotator in sorted({run.annotator for run in found}):
        for method in METHODS:
            runs = [
                run
                for run in found
                if run.annotator == annotator and run.method == method
            ]
            pairs = [
                (found[run], found[plain])
                for run in runs
                for plain in found
                if plain.names == (*run.names[:2], "plain") and plain.seed == run.seed
            ]
            if not pairs:
                continue
            ours, plains = zip(*pairs)
            row = [f"annotator {annotator}", method, f"{len(ours)}"]
            for against in AGAINST:
                whole, change, low, high = compared(ours, plains, against)
                text = f"{whole:.3f}"
                if method != "plain":
                    text += f" ({change:+.1f} %, {low:+.1f} to {high:+.1f})"
                row.append(text)
            rows.append(row)
    head = ["trained on", "method", "runs", *(TITLES[name] for name in AGAINST)]
    return markdown(head, rows) + "\n"


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        for run in plan(argparse.Namespace(**{**vars(args), "methods": ["plain"]})):
            if "cross-fit" in args.methods:
                cross_fit(run, args.jobs, merged(args.cfg_options))
        train_all(runs, args.jobs)
    found = {run: measured(run, errors_of) for run in runs if run.finished}
    if not found:
        raise SystemExit(NOTHING_FINISHED)
    text = table(found)
    with atomic_write(Path(args.work_dir) / "table.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
