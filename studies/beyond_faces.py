"""Latent targets on data that are no faces: better, or left alone?

Cases, one or several of:

- ``xrays``: lateral head X-rays that two dentists annotated independently, at
  XRAY_ROOT (``annotator_1.json`` and ``annotator_2.json`` in COCO layout, ``group`` and
  ``fold`` of every image). Training knows one dentist. Targets and annotations are
  compared with the other one, mean offsets of each landmark taken out; in percent of
  the distance from Sella to Nasion.
- ``bodies``: generated figures, laid out as COCO, whose true joints are known and whose
  annotators slide along the limbs. Errors are against the truth; in percent of the
  figure's height.

Both are trained from stock configs (``studies/configs``): a plain detector by MMPose's
own head, then the same run goes on with ``SemanticAlignmentHead`` and
``LatentTargetHook(consensus=dict())`` in its place. Search and consensus have their
defaults.

Prints for each case the RMS of annotations, of targets and of what the search found
alone, and by how much that of the targets differs from that of the annotations, with
the 95 % interval of a bootstrap over pictures (X-rays: over groups of equal pictures),
in which annotations and targets of a picture stay together.
Finished runs are not repeated and stopped ones go on: give the command again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_write

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    changed,
    hook,
    keep_checkpoints,
    markdown,
    measured,
    merged,
    saved_targets,
    study_parser,
    train_all,
)
from .stick_figures import write_figures
from .xrays import (
    landmarks_of,
    on_images,
    sella_nasion,
    training_part,
    without_offsets,
    xray_root,
)

CONFIGS = ROOT / "studies/configs"
FIGURES = 400
MEASURED = ("annotations", "targets", "found")


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/beyond_faces", cases=("xrays", "bodies"))
    parser.add_argument(
        "--folds", type=int, nargs="+", default=[0], help="of the X-rays, 0 to 4"
    )
    parser.add_argument(
        "--annotators", type=int, nargs="+", default=[1], help="of the X-rays, 1 and 2"
    )
    return parser.parse_args()


def until(start: int) -> Change:
    """Stop where the search starts; the schedule stays that of the whole training."""
    return lambda config: config.train_cfg.update(max_epochs=start)


def chain(names: Sequence[str], seed: int, data: Change, args) -> Run:
    """Return the run with the search; the plain one is trained first."""
    case, work_dir = names[0], Path(args.work_dir)
    config = CONFIGS / f"{case}_sa.py"
    kept, last = keep_checkpoints(1, interval=20), merged(args.cfg_options)
    aligned = Run((*names, "aligned"), seed, work_dir, config, (data, kept, last))
    start = hook(aligned.resolved).start
    changes = (data, kept, last, until(start))
    plain = Run((*names, "plain"), seed, work_dir, CONFIGS / f"{case}.py", changes)
    return Run(
        aligned.names,
        seed,
        work_dir,
        config,
        aligned.changes,
        after=plain,
        start=start,
    )


# X-rays


def plan_xrays(args) -> list[Run]:
    """Return a run for each annotator, fold and seed."""
    root, work_dir = xray_root(), Path(args.work_dir)
    return [
        chain(
            ("xrays", f"annotator {annotator}", f"fold {fold}"),
            seed,
            on_images(root, training_part(root, annotator, fold, work_dir), ""),
            args,
        )
        for seed in args.seeds
        for annotator in args.annotators
        for fold in args.folds
    ]


def squares_xrays(run: Run) -> dict:
    """Return squared distances to the other dentist of one run's training pictures."""
    root, annotator = xray_root(), int(run.names[1].split()[1])
    other = json.loads((root / f"annotator_{3 - annotator}.json").read_text())
    second, groups = landmarks_of(other)
    state = saved_targets(run)
    ids = [int(key.rsplit("#", 1)[1]) for key in state["keys"]]
    # The second dentist left out a picture.
    rows = [row for row, i in enumerate(ids) if i in second]
    ids = [ids[row] for row in rows]
    truth = np.stack([second[i] for i in ids])
    seen = state["visible"][rows].numpy() & (truth[..., 2] > 0)
    unit = sella_nasion(truth)
    found = dict(groups=[groups[i] for i in ids], seen=seen.sum(1).tolist())
    for name in MEASURED:
        difference = state[name][rows].double().numpy() - truth[..., :2]
        difference = without_offsets(difference / unit[:, None, None], seen)
        square = (difference**2).sum(-1)
        found[name] = (1e4 * (square * seen).sum(1)).tolist()
    return found


# Generated bodies


def figures_of(seed: int, args) -> Path:
    """Return the folder of a seed's figures."""
    return Path(args.work_dir).resolve() / "bodies" / f"figures_seed{seed}"


def plan_bodies(args) -> list[Run]:
    """Return a run for each seed."""
    runs = []
    for seed in args.seeds:
        root = figures_of(seed, args)
        ann_file = Path("annotations/person_keypoints_train2017.json")
        data = on_images(root, ann_file, "train2017/")
        runs.append(chain(("bodies",), seed, data, args))
        if not args.report:
            write_figures(root, FIGURES, seed)
    return runs


def squares_bodies(run: Run) -> dict:
    """Return squared errors of one run's training figures."""
    root = Path(run.resolved.train_dataloader.dataset.data_root)
    truth = json.loads((root / "truth.json").read_text())
    state = saved_targets(run)
    ids = [key.rsplit("#", 1)[1] for key in state["keys"]]
    real = np.array([truth[i]["joints"] for i in ids])
    height = np.array([truth[i]["height"] for i in ids])[:, None, None]
    seen = state["visible"].numpy()
    found = dict(groups=[int(i) for i in ids], seen=seen.sum(1).tolist())
    for name in MEASURED:
        error = (state[name].double().numpy() - real) / height
        found[name] = (1e4 * ((error**2).sum(-1) * seen).sum(1)).tolist()
    return found


# Tables


def resampled(squares: Sequence[dict], draws: int = 2000) -> dict[str, float]:
    """Return RMS of annotations, targets, search results; change of targets, interval.

    Args:
        squares: For each run groups, numbers of landmarks and summed squares of its
            pictures. A group that several runs saw is drawn with all its pictures.
        draws: Of the bootstrap.
    """
    groups = sorted({g for run in squares for g in run["groups"]})
    place = {group: i for i, group in enumerate(groups)}
    sums = {name: np.zeros(len(groups)) for name in ("seen", *MEASURED)}
    for run in squares:
        rows = [place[group] for group in run["groups"]]
        for name, total in sums.items():
            np.add.at(total, rows, run[name])

    def rms(name: str, weight: np.ndarray) -> np.ndarray:
        return np.sqrt(weight @ sums[name] / (weight @ sums["seen"]))

    change, low, high = changed(
        lambda weight: rms("targets", weight) / rms("annotations", weight),
        len(groups),
        draws,
    )
    whole = {name: float(rms(name, np.ones(len(groups)))) for name in MEASURED}
    return dict(whole, pictures=len(groups), change=change, low=low, high=high)


CASES: dict[str, tuple[Callable, Callable]] = dict(
    xrays=(plan_xrays, squares_xrays), bodies=(plan_bodies, squares_bodies)
)


def table(found: dict[tuple[str, str], dict[str, float]]) -> str:
    """Return Markdown of case and run to figures."""
    head = ("data", "run", "pictures", *MEASURED, "targets' change", "95 %")
    rows = [
        (
            case,
            run,
            f"{f['pictures']}",
            *(f"{f[name]:.3f}" for name in MEASURED),
            f"{f['change']:+.1f} %",
            f"{f['low']:+.1f} to {f['high']:+.1f}",
        )
        for (case, run), f in found.items()
    ]
    return markdown(head, rows) + "\n"


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = [run for case in args.cases or CASES for run in CASES[case][0](args)]
    if not args.report:
        train_all(runs, args.jobs)
    found, squares = {}, {}
    for run in runs:
        if run.finished:
            case = run.names[0]
            figures = measured(run, CASES[case][1])
            squares.setdefault(case, []).append(figures)
            what = ", ".join([*run.names[1:-1], f"seed {run.seed}"])
            found[case, what] = resampled([figures])
    if not found:
        raise SystemExit(NOTHING_FINISHED)
    for case, parts in squares.items():
        if len(parts) > 1:
            found[case, "all"] = resampled(parts)
    text = table(found)
    with atomic_write(Path(args.work_dir) / "table.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
