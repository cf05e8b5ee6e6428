"""Three annotators marked every face: which of what they say is best to train on?

Procedural faces as the annotators of ``studies.observers`` mark them, careful, usual
and hasty, each with a convention of their own. Trained on:

- ``mean``: the mean of the three;
- ``careful``, ``usual``, ``hasty``: one annotator's;
- ``random``: one of them, drawn anew each time;
- ``all``: each one's, as samples of their own, for a third as many epochs;
- ``consensus``: the mean, and after two fifths of the epochs targets made of all three
  and of what the search finds;
- ``restart``: from the first epoch on such targets, made of what the finished detector
  of ``mean`` finds.

Each training sees as many samples. Prints the detectors' errors on the truth of other
faces, with each seed's difference from ``mean``, and the RMS errors of what was trained
on at its end, against the truth. All are in percent of the distance of the outer eye
corners, mean ± standard deviation over seeds.

Finished runs are not repeated and stopped ones go on: give the command again.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_folder, atomic_write
from semamb_mm.pose.datasets import SyntheticFaceDataset
from semamb_mm.pose.datasets.synthetic_face_dataset import write_pts_tree

from .alignment import CONFIGS, NME, region_errors, relative
from .engine import (
    NOTHING_FINISHED,
    Change,
    Made,
    Run,
    copy_face,
    hook,
    keep_checkpoints,
    markdown,
    measured,
    merged,
    saved_targets,
    scheduled,
    spread,
    study_parser,
    train_all,
    validations,
)
from .observers import ANNOTATORS, marked_pixels

METHODS = ("mean", *ANNOTATORS, "random", "all", "consensus", "restart")
SEARCHES = ("consensus", "restart")
GROUPS = ("weak", "strong")


class Taught(Run):
    """A training on what three annotators say."""

    faces = property(lambda self: int(self.names[0].split()[0]))
    method = property(lambda self: self.names[1])


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/three_annotators")
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    return parser.parse_args(argv)


def faces_of(args: argparse.Namespace, seed: int) -> Path:
    """Return the folder of a seed's faces."""
    return Path(args.work_dir).resolve() / "faces" / f"{args.faces}_seed{seed}"


def draw(folder: Path, faces: int, seed: int) -> None:
    """Draw the faces, and a folder of ``.pts`` for each annotator, if not there."""
    if folder.exists():
        return
    _, marks = marked_pixels(faces, seed)
    drawn = folder.with_name(f"{folder.name}_images")
    if not drawn.exists():
        write_pts_tree(SyntheticFaceDataset(num_samples=faces, seed=seed), drawn)
    images = drawn / "images"
    with atomic_folder(folder) as unfinished:
        for name, points in zip(ANNOTATORS, marks):
            for image, keypoints in zip(sorted(images.glob("*.png")), points):
                copy_face(image, images, unfinished / name, keypoints)


def on_annotators(folder: Path, annotation: str) -> Change:
    """Train on the faces of :func:`draw`."""

    def change(config) -> None:
        config.train_dataloader.dataset = dict(
            type="SeveralAnnotatorsDataset",
            source=dict(type="PtsFaceDataset", data_root=str(folder)),
            annotators={name: dict(data_prefix=dict(img=name)) for name in ANNOTATORS},
            annotation=annotation,
            pipeline=config.train_dataloader.dataset.pipeline,
        )

    return change


def aligned(method: str, epochs: int, found: Path) -> Change:
    """Let targets move after two fifths of the epochs, or train on those in a file."""
    options = dict(start=2 * epochs // 5)
    if method == "restart":
        options = dict(start=None, targets=str(found))
    return lambda config: hook(config).update(options)


def searched(mean: Run, found: Path) -> Made:
    """Return the targets that the finished detector of the mean finds."""
    command = ("tools/search_targets.py", mean.planned, mean.checkpoint)
    command = (*command, "--hook-of", CONFIGS.parent / "_base_/alignment_68.py")
    return Made(found, (*command, "--out", found), mean)


def plan(args: argparse.Namespace) -> list[Taught]:
    """Return a run for each seed and method."""
    return [
        run
        for seed in args.seeds
        for run in _methods(args, seed)
        if run.method in args.methods
    ]


def _methods(args: argparse.Namespace, seed: int) -> Iterator[Taught]:
    """Yield a seed's run of every method."""

    def run(method: str, *changes: Change, needs: Made | None = None) -> Taught:
        searches = method in SEARCHES
        kind = "sa" if searches else "plain"
        made = (
            on_annotators(faces_of(args, seed), "mean" if searches else method),
            *(keep_checkpoints(1), *changes, merged(args.cfg_options)),
        )
        config = CONFIGS / f"slim-hourglass_{kind}_synthetic-96x96.py"
        names = (f"{args.faces} faces", method)
        return Taught(names, seed, args.work_dir, config, made, needs=needs)

    mean = run("mean", scheduled(args.epochs))
    found = mean.folder / "targets.npz"
    yield mean
    for method in METHODS[1:]:
        epochs = args.epochs // len(ANNOTATORS) if method == "all" else args.epochs
        changes = [scheduled(epochs)]
        if method in SEARCHES:
            changes.append(aligned(method, epochs, found))
        needs = searched(mean, found) if method == "restart" else None
        yield run(method, *changes, needs=needs)


def taught_errors(run: Taught) -> dict[str, float]:
    """Return the RMS errors of what a run was trained on at its end, percent."""
    truth, marks = marked_pixels(run.faces, run.seed)
    if run.method in SEARCHES:
        saved = saved_targets(run)
        faces = [int(Path(key.split("#")[0]).stem) for key in saved["keys"]]
        taught = np.empty_like(truth)
        taught[faces] = saved["targets"].numpy()
        every = taught[None]
    elif run.method in ANNOTATORS:
        every = marks[[list(ANNOTATORS).index(run.method)]]
    elif run.method == "mean":
        every = marks.mean(0)[None]
    else:
        every = marks
    return region_errors(every, truth, GROUPS)


def measure(run: Taught) -> dict[str, float]:
    """Return all figures of a finished run, percent."""
    last = validations(run, "NME/")[run.epochs]
    return {"NME": 100 * last[NME], **taught_errors(run)}


def table(found: Mapping[Taught, Mapping[str, float]]) -> str:
    """Return Markdown of finished runs."""
    means = {run.seed: found[run] for run in found if run.method == "mean"}
    rows = []
    for method in METHODS:
        runs = [run for run in found if run.method == method]
        if not runs:
            continue
        row = [method, ", ".join(str(run.seed) for run in runs)]
        row.append(spread([found[run]["NME"] for run in runs]))
        chosen = {run.seed: found[run] for run in runs}
        row.append("" if method == "mean" else relative(chosen, means, "NME"))
        row += [spread([found[run][group] for run in runs]) for group in GROUPS]
        rows.append(row)
    head = ["trained on", "seeds", "NME", "against the mean"]
    return markdown([*head, *(f"{group}, RMS" for group in GROUPS)], rows) + "\n"


def report(runs: Sequence[Taught], out: Path) -> None:
    """Print and write the table.

    Raises:
        SystemExit: If there are no runs.
    """
    if not runs:
        raise SystemExit(NOTHING_FINISHED)
    text = table({run: measured(run, measure) for run in runs})
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)


def main() -> None:
    """Train what is missing and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        for seed in args.seeds:
            draw(faces_of(args, seed), args.faces, seed)
        train_all(runs, args.jobs)
    report([run for run in runs if run.finished], Path(args.work_dir))


if __name__ == "__main__":
    main()
