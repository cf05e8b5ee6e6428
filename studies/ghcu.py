"""What a GHCU adds to a detector, beside two rivals, on faces it has not seen.

For procedural faces and for the .pts folder at DATA_ROOT, and for each seed, trains
a detector, a GHCU on it, and fits the rivals to the same training faces:

- ``PCA``: a linear shape model fitted to the detector's landmarks, weighted by their
  confidence (Cootes et al. 1995, with a prior);
- ``nearest``: the training shape that fits the confident landmarks best.

Landmarks of low confidence take a method's position, the others the detector's, with
a hard threshold or blended (GHCU's modes); 'alone' is the method for all landmarks.
The thresholds, and the rivals' own settings, are chosen on training faces alone, the
same way for each. Test faces are clean, occluded on 10, 25 and 40 % of the face, and of
low quality (blur, downscaling, JPEG).

Writes ``results.csv`` (every run) and ``table.md`` (mean and spread over the seeds)
to --work-dir. Finished trainings are not repeated and stopped ones go on: give the
command again. --detectors takes detectors that are trained already, such as the plain
ones of studies.alignment:

    --detectors real=work_dirs/study/real/as_annotated/plain/seed{seed}/epoch_20.pth
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from semamb_mm.cli import open_pose_model, training_set
from semamb_mm.faces.shape_models import PCAShapeModel, nearest_shape
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.metrics.face_nme import failure_rate, mean_visible
from semamb_mm.pose.refiners.measure import measuring_pipeline, predict
from semamb_mm.pose.refiners.threshold import (
    choose_threshold,
    neighbour_weights,
    relative_confidence,
)

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Run,
    markdown,
    measured,
    merged,
    spread,
    study_parser,
    train_all,
    write_csv,
)

DATA = dict(procedural="synthetic", real="300w-subset")
CONDITIONS = {
    "clean": (),
    "occluded 10 %": (dict(type="RandomFaceOcclusion", area=0.10),),
    "occluded 25 %": (dict(type="RandomFaceOcclusion", area=0.25),),
    "occluded 40 %": (dict(type="RandomFaceOcclusion", area=0.40),),
    "low quality": (dict(type="RandomLowQuality"),),
}
REFINERS = ("GHCU", "PCA", "nearest")
FIGURES = ("NME", "NME occluded", "FR@8", "FR@10")
# What the rivals' settings are chosen from, on training faces. neighbours: whether
# landmarks weigh by their own confidence or by the mean of their neighbours'.
PCA_GRID = [
    dict(power=power, noise=noise, neighbours=neighbours)
    for power in (1, 2, 4, 8)
    for noise in (0.06, 0.12, 0.24)
    for neighbours in (False, True)
]
NEAREST_GRID = [
    dict(power=power, neighbours=neighbours)
    for power in (1, 2, 4, 8, 16)
    for neighbours in (False, True)
]
TUNED_MODES = ("threshold", "blend")
TUNED_ON = 5  # each fifth training face


def parse_args():
    """Read the command line."""
    parser = study_parser(
        __doc__, "work_dirs/ghcu_study", cases=list(DATA), options_of="the GHCU's runs"
    )
    parser.add_argument(
        "--detectors",
        nargs="+",
        default={},
        action=DictAction,
        metavar="CASE=CHECKPOINT",
        help="trained detectors, {seed} standing for the seed; default: train them",
    )
    args = parser.parse_args()
    args.cases = args.cases or list(DATA)
    unknown = sorted(set(args.detectors) - set(DATA))
    if unknown:
        parser.error(f"--detectors {unknown[0]}: expected one of {sorted(DATA)}")
    if "real" in args.cases and "DATA_ROOT" not in os.environ:
        raise SystemExit("real needs DATA_ROOT: a folder with train.txt and val.txt")
    return args


def given_detector(patterns: Mapping[str, str], data: str, seed: int) -> Path | None:
    """Return the path of a detector that is trained already, if one is given.

    Raises:
        SystemExit: If it does not exist.
    """
    if data not in patterns:
        return None
    path = Path(patterns[data].format(seed=seed)).resolve()
    if not path.is_file():
        raise SystemExit(f"--detectors {data}: {path} does not exist")
    return path


def plan(args) -> Iterator[Run]:
    """Yield the training of each GHCU, after that of its detector."""
    for data in args.cases:
        name = f"{DATA[data]}-96x96.py"
        plain = ROOT / f"configs/semantic_alignment/slim-hourglass_plain_{name}"
        ghcu = ROOT / f"configs/ghcu/slim-hourglass_ghcu_{name}"
        for seed in args.seeds:
            common = dict(seed=seed, work_dir=Path(args.work_dir))
            given = None if args.report else given_detector(args.detectors, data, seed)
            if given is None:
                after = Run((data, "detector"), config=plain, **common)
                changes = ()
            else:
                after, changes = None, (merged(dict(load_from=str(given))),)
            yield Run(
                (data, "ghcu"),
                config=ghcu,
                changes=(*changes, merged(args.cfg_options)),
                after=after,
                **common,
            )


def fit_rival(faces, name, settings, shapes, model) -> np.ndarray:
    """Return positions ``(N, K, 2)`` of a rival for all faces."""
    ratio = relative_confidence(
        torch.as_tensor(faces.confidence, dtype=torch.float64),
        torch.as_tensor(settings["median"], dtype=torch.float64),
        neighbour_weights(
            torch.as_tensor(faces.detected, dtype=torch.float64),
            settings["neighbourhood"],
        ),
    )
    trust = ratio.numpy().clip(1e-3) ** settings["power"]
    if name == "PCA":
        return np.stack(
            [
                model.fit(points, weights, settings["noise"])
                for points, weights in zip(faces.detected, trust)
            ]
        )
    return np.stack(
        [nearest_shape(shapes, points, w) for points, w in zip(faces.detected, trust)]
    )


def select(faces, which):
    """Return some of the faces alone."""
    return type(faces)(*(part[which] for part in vars(faces).values()))


def training_shapes(truth: np.ndarray, pairs: Sequence[int]) -> np.ndarray:
    """Return the wholly labelled faces of ``(N, K, 2)``, and mirrored: (2N, K, 2)."""
    truth = truth[~np.isnan(truth).any((1, 2))].astype(np.float64)
    return np.concatenate([truth, truth[:, pairs] * (-1, 1)])


def tune_rival(name, grid, clean, degraded, pairs, neighbourhood):
    """Return settings of least error on training faces, and each mode's threshold.

    The faces tuned on are left out of the rival's own shapes: a face's nearest
    shape would be its own.
    """
    tuned_on = np.arange(len(clean.truth)) % TUNED_ON == 0
    shapes = training_shapes(clean.truth[~tuned_on], pairs)
    model = PCAShapeModel.train(shapes)
    median = np.median(clean.confidence, axis=0)
    clean, degraded = select(clean, tuned_on), select(degraded, tuned_on)
    best = None
    for settings in grid:
        reach = neighbourhood if settings["neighbours"] else 0
        settings = dict(settings, median=median, neighbourhood=reach)
        measured = [
            faces.measured(
                neighbourhood,
                fit_rival(faces, name, settings, shapes, model),
            )
            for faces in (clean, degraded)
        ]
        chosen = {mode: choose_threshold(*measured, mode) for mode in TUNED_MODES}
        curve = chosen["threshold"][1]
        error = next(row["degraded"] for row in curve if row["chosen"])
        if best is None or error < best[0]:
            best = error, settings, {mode: chosen[mode][0] for mode in chosen}
    return best[1:]


def figures(faces, errors: np.ndarray) -> dict[str, float]:
    """Return the table's figures, percent, of ``(N, K)`` errors."""
    overall = mean_visible(errors, 1)
    hidden = mean_visible(np.where(faces.occluded, errors, np.nan), 1)
    hidden = hidden[~np.isnan(hidden)]
    values = (
        overall.mean(),
        hidden.mean() if len(hidden) else np.nan,
        failure_rate(overall, 0.08),
        failure_rate(overall, 0.10),
    )
    return dict(zip(FIGURES, (100 * float(v) for v in values)))


def evaluate(config: Config, checkpoint: Path, data: str, seed: int) -> list[dict]:
    """Return the rows of all methods under all conditions."""
    init_default_scope("mmpose")
    model = open_pose_model(config, checkpoint)
    np.random.seed(0)
    pipelines = [measuring_pipeline(config, degrade, 0) for degrade in (False, True)]
    clean, degraded = (
        predict(model, training_set(config, pipeline, test_mode=True))
        for pipeline in pipelines
    )
    neighbourhood = model.head.refiner.neighbourhood
    seen = clean.measured(neighbourhood), degraded.measured(neighbourhood)
    thresholds = {
        "GHCU": {mode: choose_threshold(*seen, mode)[0] for mode in TUNED_MODES}
    }
    pairs = DATASETS.build(config.test_dataloader.dataset).metainfo["flip_indices"]
    shapes = training_shapes(clean.truth, pairs)
    pca = PCAShapeModel.train(shapes)
    settings = {}
    for name, grid in (("PCA", PCA_GRID), ("nearest", NEAREST_GRID)):
        settings[name], thresholds[name] = tune_rival(
            name, grid, clean, degraded, pairs, neighbourhood
        )
        print(name, {k: v for k, v in settings[name].items() if k != "median"})
    rows = []
    for condition, transforms in CONDITIONS.items():
        faces = predict(model, spoilt_faces(config, transforms))
        refined = {
            name: fit_rival(faces, name, settings[name], shapes, pca)
            for name in settings
        }
        refined["GHCU"] = None
        found = {
            name: faces.measured(neighbourhood, refined[name]) for name in REFINERS
        }
        for method, errors in methods(found, thresholds):
            row = dict(data=data, condition=condition, method=method, seed=seed)
            rows.append({**row, **figures(faces, errors)})
    return rows


def spoilt_faces(config: Config, transforms: Sequence[Mapping]):
    """Return the test data set, its images spoilt by transforms."""
    dataset = config.test_dataloader.dataset.copy()
    load, *steps, pack = dataset.pipeline
    extra = [dict(t, prob=1.0, seed=1) for t in transforms]
    dataset.pipeline = [load, *extra, *steps, dict(pack, pack_transformed=True)]
    return DATASETS.build(dataset)


def methods(found: Mapping, thresholds: Mapping) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and errors ``(N, K)`` of the detector and of each refiner and mode."""
    first = found[REFINERS[0]]
    yield "detector", first.errors(first.detected)
    for mode, label in (("threshold", ""), ("blend", ", blended")):
        for name, faces in found.items():
            positions = faces.combined(thresholds[name][mode], mode)
            yield name + label, faces.errors(positions)
    for name, faces in found.items():
        yield f"{name}, alone", faces.errors(faces.refined)


def table(rows: Sequence[Mapping]) -> str:
    """Return Markdown, mean and range over the seeds: errors, then failure rates."""
    seeds = sorted({r["seed"] for r in rows})
    parts = []
    for data in dict.fromkeys(r["data"] for r in rows):
        mine = [r for r in rows if r["data"] == data]
        for shown in (("NME", "NME occluded"), ("FR@8", "FR@10")):
            parts.append(f"**{data}**\n\n{pivot(mine, shown)}")
    parts.append(
        f"Percent of the outer eye distance; seeds {seeds}, mean (range).\n"
        "'occluded': over the occluded landmarks alone. FR: faces whose mean error is "
        "above 8 or 10 %."
    )
    return "\n\n".join(parts) + "\n"


def pivot(rows: Sequence[Mapping], shown: Sequence[str]) -> str:
    """Return Markdown, methods down, test faces and figures across."""
    columns = [
        (condition, figure)
        for condition in dict.fromkeys(r["condition"] for r in rows)
        for figure in shown
        if figure != "NME occluded" or condition.startswith("occluded")
    ]
    titles = [
        f"{condition}, {figure.removeprefix('NME ')}" for condition, figure in columns
    ]
    lines = []
    for method in dict.fromkeys(r["method"] for r in rows):
        cells = []
        for condition, figure in columns:
            wanted = (method, condition)
            chosen = [r for r in rows if (r["method"], r["condition"]) == wanted]
            cells.append(cell([r[figure] for r in chosen]))
        lines.append([method, *cells])
    return markdown(["method", *titles], lines)


def cell(values: Sequence[float]) -> str:
    """Return mean and range; nothing if a seed has no such landmarks."""
    return "" if np.isnan(values).any() else spread(values, how="range")


def measure(run: Run) -> list[dict]:
    """Return the rows of one GHCU."""
    return evaluate(run.resolved, run.checkpoint, run.names[0], run.seed)


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs, work_dir = list(plan(args)), Path(args.work_dir)
    if not args.report:
        train_all(runs, args.jobs)
    rows = []
    for run in runs:
        if run.finished:
            rows += measured(run, measure)
            write_csv(work_dir / "results.csv", rows)
            with atomic_write(work_dir / "table.md") as file:
                file.write(table(rows))
    if not rows:
        raise SystemExit(NOTHING_FINISHED)
    print(table(rows))


if __name__ == "__main__":
    main()
