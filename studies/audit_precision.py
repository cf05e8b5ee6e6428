"""Precision of the annotation audit, on planted wrong annotations.

Takes annotations as right and plants wrong ones:

- ``procedural``: faces with the usual noise of an annotator, judged by the detector of
  ``make demo`` at --demo; it was trained on faces of another seed;
- ``real``: the .pts folder at DATA_ROOT. A small network is trained on one half, with
  5 % of wrong annotations of all kinds in it, and asked about the other half, and the
  other way round (--halves);
- ``others``: the faces of val.txt there, judged by the first of these networks;
- ``xrays``: of one dentist, at XRAY_ROOT, judged by the detectors of
  ``studies.disagreement --annotators 1 --methods plain``, at --xrays, out of fold.

**Calibration**: at several rates, with several seeds of planting: how many suspects
there are, which share is wrong, and whether that share lies in the stated interval;
also of lists of other lengths than the audit's own.

**Rivals**: precision at recall 0.5, 0.8 and 0.9 and the area under the
precision-recall curve (AUPRC), for each kind of wrong annotation, as if 0.5 or 5 % of
the landmarks were wrong (right and wrong ones are weighted so).

The rivals are compared on the real faces, as they were trained on: so rivals that judge
what they were trained on have seen the wrong annotations. For the calibration others
are planted, into the right annotations of what a detector has not seen.

Prints Markdown; writes it and csv files into --work-dir. Finished trainings are not
repeated and stopped ones go on: give the command again.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from semamb_mm import cli
from semamb_mm.audit import THRESHOLD, Audit, decide, suspicion
from semamb_mm.audit import Markup as AuditMarkup
from semamb_mm.faces.landmarks import PARTS_68
from semamb_mm.formats.files import atomic_folder, atomic_write
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
)
from semamb_mm.pose.finished.held_out import (
    Predictions,
    jittered,
    pipeline_of_tests,
    predict_views,
)
from semamb_mm.pose.latent_targets.samples import keyed_annotations, located_samples

from . import rivals_of_audit as rivals
from .disagreement import read_opinions
from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    copy_face,
    markdown,
    merged,
    scheduled,
    study_parser,
    train_all,
    write_csv,
    write_list,
)
from .planted import KINDS, Markup, plant
from .xrays import FOLDS, on_images, training_part, xray_root

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_plain_300w-subset-96x96.py"
CASES = ("procedural", "real", "others", "xrays")
HALVES = (0, 1)
FRESH = 77  # seed of the procedural faces; the demo's are others
TRAINED_ON = 0.05  # share of landmarks that are wrong in the trainings
VIEWS = 3
RATES = (0.0, 0.001, 0.005, 0.01, 0.05)
LISTS = (0.0005, 0.001, 0.003, 0.01, 0.03)  # lengths, shares of the landmarks
BASE_RATES = (0.005, 0.05)
STATED_AND_TRUE = ("planted", "suspects", "truly wrong, %", "stated, %")
STATED_AND_TRUE += ("in the interval", "other lists")
RECALLS = (0.5, 0.8, 0.9)


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/audit_precision", cases=CASES)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--num-faces", type=int, default=600, help="procedural")
    parser.add_argument("--halves", type=int, nargs="+", default=list(HALVES))
    parser.add_argument("--demo", help="folder of the demo's training")
    parser.add_argument(
        "--plantings",
        type=int,
        nargs="+",
        default=[10, 11, 12],
        help="seeds of what is planted for the calibration",
    )
    parser.add_argument("--xrays", help="--work-dir of studies.disagreement")
    args = parser.parse_args()
    here = dict(
        procedural=args.demo is not None,
        real="DATA_ROOT" in os.environ,
        others="DATA_ROOT" in os.environ,
        xrays="XRAY_ROOT" in os.environ and args.xrays is not None,
    )
    args.cases = args.cases or [case for case in CASES if here[case]]
    for case in args.cases:
        if not here[case]:
            raise SystemExit(
                "procedural needs --demo; real and others need DATA_ROOT, a folder of "
                "images, .pts, train.txt and val.txt; xrays needs XRAY_ROOT and --xrays"
            )
    return args


@cache
def faces_of(
    tree: Path, listed: str = "train.txt"
) -> tuple[list[Path], np.ndarray, Markup]:
    """Return images, landmarks ``(N, 68, 2)`` and mark-up of a .pts folder."""
    faces = PtsFaceDataset(data_root=str(tree), ann_file=listed)
    infos = [faces.get_data_info(i) for i in range(len(faces))]
    points = np.concatenate([info["keypoints"] for info in infos]).astype(np.float64)
    images = [Path(info["img_path"]) for info in infos]
    return images, points, markup_of(faces)


def markup_of(faces) -> Markup:
    """Return the mark-up of a data set of 68-point faces."""
    curves = [part.landmarks for part in PARTS_68.values()]
    return Markup(np.asarray(faces.metainfo["flip_indices"]), curves)


def planted_tree(args) -> Path:
    """Return a copy of the real faces with wrong annotations of every kind.

    ``without0.txt`` and ``without1.txt`` list the faces of one half each;
    ``planted.npz`` has kinds ``(N, 68)`` of :data:`KINDS` by number from 1, 0 for
    right ones.
    """
    target = Path(args.work_dir).resolve() / "real/data"
    if target.exists():
        return target
    source = Path(os.environ["DATA_ROOT"]).resolve()
    images, points, markup = faces_of(source)
    share = TRAINED_ON / len(KINDS)
    spoilt, kinds = plant(points, markup, dict.fromkeys(KINDS, share), seed=1000)
    numbers = np.array([("", *KINDS).index(kind) for kind in kinds.flat])
    with atomic_folder(target) as unfinished:
        names = [
            copy_face(image, source, unfinished, face).with_suffix("").as_posix()
            for image, face in zip(images, spoilt)
        ]
        for half in HALVES:
            write_list(unfinished / f"without{half}.txt", names[1 - half :: 2])
        write_list(unfinished / "train.txt", names)
        np.savez(unfinished / "planted.npz", kinds=numbers.reshape(kinds.shape))
    return target


def without(half: int) -> Change:
    """Train on the other half; validate nothing."""

    def change(config: Config) -> None:
        config.train_dataloader.dataset.ann_file = f"without{half}.txt"
        config.val_dataloader.dataset.ann_file = "train.txt"
        config.train_cfg.val_interval = 1000
        config.default_hooks.checkpoint.update(save_best=None, max_keep_ckpts=1)

    return change


def plan(args) -> list[Run]:
    """Return the trainings without each half."""
    if not {"real", "others"} & set(args.cases):
        return []
    changes = (scheduled(args.epochs), merged(args.cfg_options))
    return [
        Run(
            ("real", f"without half {half}"),
            0,
            Path(args.work_dir),
            CONFIG,
            changes=(without(half), *changes),
            data_root=planted_tree(args),
        )
        for half in args.halves
    ]


def predictions(run: Run, seen: bool) -> Predictions:
    """Return what a run's detector finds in its own half, or in the other one.

    Kept beside the checkpoint.
    """
    half = int(run.names[1][-1])
    wanted = f"without{half if seen else 1 - half}.txt"
    path = run.folder / ("seen.npz" if seen else "held_out.npz")
    return predicted(run, path, 1 if seen else VIEWS, ann_file=wanted)


def predicted(run: Run, path: Path, count: int, **changes) -> Predictions:
    """Return what a run's detector finds in faces, kept at ``path``.

    Args:
        run: Finished.
        path: An .npz file.
        count: Of views.
        changes: What makes its training set that of these faces.
    """
    if not path.exists():
        config = run.resolved
        pipelines = [pipeline_of_tests(config)]
        pipelines += [jittered(pipelines[0])] * (count - 1)
        sets = {
            str(pipeline): located_samples(
                cli.training_set(config, pipeline, **changes)
            )
            for pipeline in pipelines
        }
        model = cli.open_pose_model(config, run.checkpoint)
        predict_views(model, [sets[str(p)] for p in pipelines]).save(path)
    return Predictions.load(path)


def rows_of(run: Run, number: int, seen: bool) -> range:
    """Return the rows, of so many faces, that a detector was trained on or was not."""
    half = int(run.names[1][-1])
    # Without half 0 there are the odd rows.
    return range(1 - half if seen else half, number, 2)


def of_real(runs: list[Run], number: int, seen: bool) -> tuple[np.ndarray, Predictions]:
    """Return rows of the faces, and predictions by detectors that have (not) seen them.

    Args:
        runs: One, or one of each half.
        number: Of all faces.
        seen: Whether they have.
    """
    rows = [rows_of(run, number, seen) for run in runs]
    parts = [predictions(run, seen) for run in runs]
    return np.sort(np.concatenate(rows)), Predictions.joined(parts, rows)


def of_demo(args) -> tuple[np.ndarray, Predictions, Markup]:
    """Return annotations of procedural faces, and what the demo's detector finds.

    The predictions are kept in the work folder.
    """
    path = Path(args.work_dir) / "procedural.npz"
    faces = dict(seed=FRESH, num_samples=args.num_faces)
    if not path.exists():
        config = Config.fromfile(next(Path(args.demo).glob("*.py")))
        demo_predictions(config, args.demo, **faces).save(path)
    drawn = SyntheticFaceDataset(**faces)
    infos = [info for _, info in keyed_annotations(located_samples(drawn))]
    points = np.concatenate([info["keypoints"] for info in infos]).astype(np.float64)
    return points, Predictions.load(path), markup_of(drawn)


def views_of(config: Config, **changes) -> list:
    """Return the samples of a config's train data, then under jittered pipelines.

    Args:
        config: Of a detector.
        changes: Other settings of the data sets.
    """
    plain = pipeline_of_tests(config)
    first, moved = (
        located_samples(cli.training_set(config, pipeline, **changes))
        for pipeline in (plain, jittered(plain))
    )
    return [first] + [moved] * (VIEWS - 1)


def demo_predictions(config: Config, demo: str, **changes) -> Predictions:
    """Return what the demo's detector finds in a config's train data.

    Args:
        config: The demo's, maybe with other data.
        demo: Folder of its training.
        changes: Other settings of the data sets.
    """
    name = Path((Path(demo) / "last_checkpoint").read_text()).name
    model = cli.open_pose_model(config, Path(demo) / name)
    return predict_views(model, views_of(config, **changes))


def of_xrays(args) -> Predictions:
    """Return the predictions of all X-rays by detectors that have not seen them.

    Kept in the work folder.
    """
    path = Path(args.work_dir) / "xrays.npz"
    if not path.exists():
        root, parts, rows = xray_root(), [], []
        folds = read_opinions(root, 1).folds
        for fold in sorted(set(folds)):
            run = Path(args.xrays) / f"annotator_1/fold_{fold}/plain/seed0"
            parts.append(_of_fold(run, root, fold, Path(args.work_dir)))
            rows.append(np.flatnonzero(folds == fold))
        Predictions.joined(parts, rows).save(path)
    return Predictions.load(path)


def _of_fold(run: Path, root: Path, fold: int, work_dir: Path) -> Predictions:
    """Return what a finished detector finds in the pictures of its fold."""
    config = Config.fromfile(run / "config.py")
    others = [other for other in range(FOLDS) if other != fold]
    on_images(root, training_part(root, 1, others, work_dir), "")(config)
    plain = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="TopdownAffine", input_size=config.codec.input_size),
        dict(type="PackPoseInputs"),
    ]
    first, moved = (
        located_samples(cli.training_set(config, pipeline))
        for pipeline in (plain, jittered(plain))
    )
    model = cli.open_pose_model(
        config, run / f"epoch_{config.train_cfg.max_epochs}.pth"
    )
    return predict_views(model, [first] + [moved] * (VIEWS - 1))


def held_out(
    case: str, runs: list[Run], args
) -> tuple[np.ndarray, Predictions, Markup]:
    """Return right annotations ``(N, K, 2)``, predictions of them, and the mark-up."""
    if case == "xrays":
        points = read_opinions(xray_root(), 1).points[0]
        return points, of_xrays(args), Markup(np.arange(points.shape[1]), [])
    if case == "procedural":
        return of_demo(args)
    root = Path(os.environ["DATA_ROOT"]).resolve()
    if case == "others":
        _, points, markup = faces_of(root, "val.txt")
        where = dict(data_root=str(root), ann_file="val.txt")
        path = runs[0].folder / "others.npz"
        return points, predicted(runs[0], path, VIEWS, **where), markup
    _, points, markup = faces_of(root)
    rows, found = of_real(runs, len(points), seen=False)
    return points[rows], found, markup


def audited(points: np.ndarray, found: Predictions, markup: Markup) -> Audit:
    """Return the audit of annotations."""
    keys = [str(i) for i in range(len(points))]
    known = AuditMarkup(markup.mirrored, markup.curves)
    options = dict(inside=found.inside, spread=found.spread, markup=known)
    return decide(keys, points, found.points, found.confidences, **options)


def of_list(audit: Audit, wrong: np.ndarray, share: float) -> bool:
    """Return whether the stated interval is true of another list than the audit's.

    Args:
        audit: What states it.
        wrong: ``(N, K)`` bool, the truth.
        share: Of the landmarks, those with the highest scores.
    """
    scores = np.where(audit.calibration.used, audit.calibration.scores.given, -np.inf)
    threshold = np.quantile(scores, 1 - share)
    stated = audit.calibration.precision(threshold)
    return bool(stated.low <= wrong[scores >= threshold].mean() <= stated.high)


def stated_and_true(audit: Audit, wrong: np.ndarray) -> dict[str, float]:
    """Return what an audit says of its suspects and of other lists, and the truth.

    Args:
        audit: What states it.
        wrong: ``(N, K)`` bool, what was planted.
    """
    suspects = audit.suspects
    row = dict(planted=int(wrong.sum()), suspects=int(suspects.sum()))
    if audit.precision is not None:
        value, low, high = vars(audit.precision).values()
        true = wrong[suspects].mean()
        row |= dict(true=true, stated=value, low=low, high=high)
        row["inside"] = low <= true <= high
    lists = [of_list(audit, wrong, share) for share in LISTS]
    return row | dict(lists=len(lists), lists_inside=sum(lists))


def stated_and_true_cells(rows: Sequence[dict]) -> list[str]:
    """Return cells of :data:`STATED_AND_TRUE`, of several :func:`stated_and_true`."""
    named = [row for row in rows if row["suspects"]]
    stated = (
        f"{100 * row['stated']:.0f} ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
        for row in named
    )
    return [
        *(", ".join(str(row[n]) for row in rows) for n in ("planted", "suspects")),
        ", ".join(f"{100 * row['true']:.0f}" for row in named) or "-",
        ", ".join(stated) or "-",
        f"{sum(row['inside'] for row in named)} of {len(named)}",
        f"{sum(row['lists_inside'] for row in rows)} of "
        f"{sum(row['lists'] for row in rows)}",
    ]


def calibration_row(
    points: np.ndarray, kinds: np.ndarray, found: Predictions, markup: Markup
) -> dict[str, float]:
    """Return what the audit says of planted annotations, and what is true."""
    audit, wrong = audited(points, found, markup), kinds != ""
    row = dict(landmarks=int(np.isfinite(points[..., 0]).sum()))
    row |= dict(right=wrong[audit.suspects].sum(), **stated_and_true(audit, wrong))
    before = suspicion(points, found.points, found.confidences) >= THRESHOLD
    return row | dict(before=before.sum(), before_right=wrong[before].sum())


def rankings(
    points: np.ndarray, found: Predictions, markup: Markup
) -> dict[str, np.ndarray]:
    """Return scores ``(N, K)`` of ours and of the rivals, higher is worse."""
    audit = audited(points, found, markup)
    # The unsure ones are never suspects: last.
    ours = np.where(audit.unsure, audit.scores - 1000, audit.scores)
    return {
        "shape: Gaussian mixture": rivals.shape_mixture(points),
        "shape: PCA residual": rivals.pca_residual(points),
        "distance out of fold": rivals.distance(points, found.points),
        "regression, as cleanlab": rivals.regression(
            points, found.points, found.spread
        ),
        "former score": suspicion(points, found.points, found.confidences),
        "ours": ours,
    }


def curve_figures(
    scores: np.ndarray, wrong: np.ndarray, rate: float
) -> dict[str, float]:
    """Return precision at recalls and AUPRC, as if a share ``rate`` were wrong.

    Args:
        scores: ``(M,)``, higher is worse.
        wrong: ``(M,)`` bool.
        rate: Right and wrong ones are weighted to it.
    """
    order = np.argsort(-scores, kind="stable")
    recall = np.cumsum(wrong[order]) / wrong.sum()
    alarms = np.cumsum(~wrong[order]) / (~wrong).sum()
    precision = rate * recall / (rate * recall + (1 - rate) * alarms + 1e-300)
    values = {
        f"precision at recall {at}": precision[np.searchsorted(recall, at)]
        for at in RECALLS
    }
    return values | dict(AUPRC=(precision * np.diff(recall, prepend=0)).sum())


def rivals_rows(runs: list[Run], args) -> Iterator[dict]:
    """Yield the figures of each kind, rate and ranking, on the real faces."""
    tree = planted_tree(args)
    _, points, markup = faces_of(tree)
    with np.load(tree / "planted.npz") as arrays:
        numbers = arrays["kinds"]
    learned, seen = of_real(runs, len(points), seen=True)
    rows, found = of_real(runs, len(points), seen=False)
    ranked = {
        "distance in sample": (rivals.distance(points[learned], seen.points), learned)
    }
    for name, scores in rankings(points[rows], found, markup).items():
        ranked[name] = scores, rows
    for number, kind in enumerate(KINDS, 1):
        for rate, (name, (scores, of)) in product(BASE_RATES, ranked.items()):
            wrong = numbers[of] == number
            chosen = wrong | (numbers[of] == 0)
            if wrong.any():
                figures = curve_figures(scores[chosen], wrong[chosen], rate)
                yield dict(kind=kind, rate=rate, ranking=name, **figures)


def rivals_table(rows: list[dict]) -> str:
    """Return Markdown: AUPRC and precision at recall 0.8 of each ranking."""
    names = list(dict.fromkeys(row["ranking"] for row in rows))
    cells = {(row["kind"], row["rate"], row["ranking"]): row for row in rows}
    lines = []
    for kind, rate in dict.fromkeys(key[:2] for key in cells):
        line = [kind, f"{100 * rate:g} %"]
        for name in names:
            row = cells.get((kind, rate, name))
            line.append(
                f"{row['AUPRC']:.2f} / {row['precision at recall 0.8']:.2f}"
                if row
                else "-"
            )
        lines.append(line)
    return markdown(["kind", "wrong", *names], lines)


def calibration_table(rows: list[dict]) -> str:
    """Return Markdown: each case and rate, its seeds beside each other."""
    lines = []
    for case, rate in dict.fromkeys((row["case"], row["rate"]) for row in rows):
        mine = [row for row in rows if (row["case"], row["rate"]) == (case, rate)]
        lines.append(
            [
                case,
                f"{100 * rate:g} %",
                *stated_and_true_cells(mine),
                ", ".join(f"{row['before']} ({row['before_right']})" for row in mine),
            ]
        )
    head = ["case", "wrong", *STATED_AND_TRUE, "before (wrong)"]
    return markdown(head, lines)


def main():
    """Train what is missing and report."""
    args = parse_args()
    init_default_scope("mmpose")
    runs, out = plan(args), Path(args.work_dir)
    if not args.report:
        train_all(runs, args.jobs)
    runs = [run for run in runs if run.finished]
    cases = [case for case in args.cases if runs or case != "real"]
    if not cases:
        raise SystemExit(NOTHING_FINISHED)
    calibrated = []
    for case in cases:
        points, found, markup = held_out(case, runs, args)
        for rate, seed in product(RATES, args.plantings):
            share = dict.fromkeys(KINDS, rate / len(KINDS))
            spoilt, kinds = plant(points, markup, share, seed)
            row = calibration_row(spoilt, kinds, found, markup)
            calibrated.append(dict(case=case, rate=rate, seed=seed, **row))
    text = calibration_table(calibrated)
    write_csv(out / "calibration.csv", calibrated)
    if "real" in cases:
        compared = list(rivals_rows(runs, args))
        write_csv(out / "rivals.csv", compared)
        text += "\n\nAUPRC / precision at recall 0.8:\n\n" + rivals_table(compared)
    with atomic_write(out / "table.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
