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
ones of alignment_study.py:

    --detectors real=work_dirs/study/real/as_annotated/plain/seed{seed}/epoch_20.pth
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS

from semamb_mm.faces.shape_models import PCAShapeModel, nearest_shape
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.metrics.face_nme import failure_rate, mean_visible
from semamb_mm.pose.refiners.measure import predict, training_faces
from semamb_mm.pose.refiners.threshold import (
    choose_threshold,
    neighbour_weights,
    relative_confidence,
)

ROOT = Path(__file__).resolve().parents[1]
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="+", choices=sorted(DATA), default=["procedural", "real"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work-dir", default="work_dirs/ghcu_study")
    parser.add_argument(
        "--detectors",
        nargs="+",
        default={},
        action=DictAction,
        metavar="DATA=CHECKPOINT",
        help="trained detectors, {seed} standing for the seed; default: train them",
    )
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="of the GHCU")
    args = parser.parse_args()
    unknown = sorted(set(args.detectors) - set(DATA))
    if unknown:
        parser.error(f"--detectors {unknown[0]}: expected one of {sorted(DATA)}")
    return args


def given_detector(patterns, data, seed):
    """Path of a detector that is trained already, or None.

    Raises:
        SystemExit: If it does not exist.
    """
    if data not in patterns:
        return None
    path = Path(patterns[data].format(seed=seed)).resolve()
    if not path.is_file():
        raise SystemExit(f"--detectors {data}: {path} does not exist")
    return path


def check_settings(folder, detector, options):
    """Remember what a run is made of.

    Raises:
        SystemExit: If the folder holds a run made of something else.
    """
    path = folder / "settings.json"
    settings = dict(detector=detector and str(detector), options=list(options))
    if path.exists():
        found = json.loads(path.read_text())
        if found != settings:
            raise SystemExit(
                f"{path}: this run was begun with {found}, the command asks for "
                f"{settings}; take another --work-dir or delete {folder}"
            )
    with atomic_write(path) as file:
        json.dump(settings, file, indent=2)


def load_config(path, options):
    """The config as tools/train.py sees it."""
    config = Config.fromfile(path)
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="*", action=DictAction)
    config.merge_from_dict(parser.parse_args(["--options", *options]).options)
    return config


def train(config, folder, seed, options):
    """Train unless it is done; the last checkpoint."""
    epochs = load_config(config, options).train_cfg.max_epochs
    checkpoint = folder / f"epoch_{epochs}.pth"
    if not checkpoint.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ROOT / "tools/train.py"), str(config)]
        command += ["--work-dir", str(folder), "--resume", "--cfg-options"]
        command += [f"randomness.seed={seed}", *options]
        print(f"training {folder}", flush=True)
        with open(folder / "train.log", "a") as log:
            done = subprocess.run(command, stdout=log, stderr=log)
        if done.returncode:
            raise SystemExit(f"{folder}: training failed, see {log.name}")
    return checkpoint


def fit_rival(faces, name, settings, shapes, model):
    """Positions ``(N, K, 2)`` of a rival for all faces."""
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
    """Some of the faces alone."""
    return type(faces)(*(part[which] for part in vars(faces).values()))


def training_shapes(truth, pairs):
    """``(2N, K, 2)`` the wholly labelled faces of ``(N, K, 2)``, and mirrored."""
    truth = truth[~np.isnan(truth).any((1, 2))].astype(np.float64)
    return np.concatenate([truth, truth[:, pairs] * (-1, 1)])


def tune_rival(name, grid, clean, degraded, pairs, neighbourhood):
    """Settings of least error on training faces, and each mode's threshold.

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


def figures(faces, errors):
    """The table's figures, percent, of ``(N, K)`` errors."""
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


def evaluate(config, checkpoint, data, seed):
    """Rows of all methods under all conditions."""
    init_default_scope("mmpose")
    model = init_model(config, str(checkpoint), device="cpu")
    np.random.seed(0)
    clean, degraded = (
        predict(model, training_faces(config, degrade, 0)) for degrade in (False, True)
    )
    neighbourhood = model.head.refiner.neighbourhood
    measured = clean.measured(neighbourhood), degraded.measured(neighbourhood)
    thresholds = {
        "GHCU": {mode: choose_threshold(*measured, mode)[0] for mode in TUNED_MODES}
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
        dataset = config.test_dataloader.dataset.copy()
        load, *steps, pack = dataset.pipeline
        extra = [dict(t, prob=1.0, seed=1) for t in transforms]
        dataset.pipeline = [load, *extra, *steps, dict(pack, pack_transformed=True)]
        faces = predict(model, DATASETS.build(dataset))
        refined = {
            name: fit_rival(faces, name, settings[name], shapes, pca)
            for name in settings
        }
        refined["GHCU"] = None
        measured = {
            name: faces.measured(neighbourhood, refined[name]) for name in REFINERS
        }
        for method, errors in methods(measured, thresholds):
            row = dict(data=data, condition=condition, method=method, seed=seed)
            rows.append({**row, **figures(faces, errors)})
    return rows


def methods(measured, thresholds):
    """Name and errors ``(N, K)`` of the detector and of each refiner and mode."""
    first = measured[REFINERS[0]]
    yield "detector", first.errors(first.detected)
    for mode, label in (("threshold", ""), ("blend", ", blended")):
        for name, found in measured.items():
            positions = found.combined(thresholds[name][mode], mode)
            yield name + label, found.errors(positions)
    for name, found in measured.items():
        yield f"{name}, alone", found.errors(found.refined)


def table(rows):
    """Markdown, mean and range over the seeds: errors, then failure rates."""
    seeds = sorted({int(r["seed"]) for r in rows})
    parts = []
    for data in dict.fromkeys(r["data"] for r in rows):
        mine = [r for r in rows if r["data"] == data]
        for figures_shown in (("NME", "NME occluded"), ("FR@8", "FR@10")):
            parts.append(f"**{data}**\n\n{pivot(mine, figures_shown)}")
    parts.append(
        f"Percent of the outer eye distance; seeds {seeds}, mean (range).\n"
        "'occluded': over the occluded landmarks alone. FR: faces whose mean error is "
        "above 8 or 10 %."
    )
    return "\n\n".join(parts) + "\n"


def pivot(rows, shown):
    """Methods down, test faces and figures across."""
    columns = [
        (condition, figure)
        for condition in dict.fromkeys(r["condition"] for r in rows)
        for figure in shown
        if figure != "NME occluded" or condition.startswith("occluded")
    ]
    titles = [
        f"{condition}, {figure.removeprefix('NME ')}" for condition, figure in columns
    ]
    lines = [
        "| method | " + " | ".join(titles) + " |",
        "|---" * (1 + len(titles)) + "|",
    ]
    for method in dict.fromkeys(r["method"] for r in rows):
        cells = [
            cell(
                [
                    float(r[figure])
                    for r in rows
                    if (r["method"], r["condition"]) == (method, condition)
                ]
            )
            for condition, figure in columns
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values):
    if np.isnan(values).any():
        return ""
    spread = f" ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def main():
    args = parse_args()
    work_dir = Path(args.work_dir)
    path = work_dir / "results.csv"
    rows = []
    for data in args.data:
        name = DATA[data]
        plain = (
            ROOT / f"configs/semantic_alignment/slim-hourglass_plain_{name}-96x96.py"
        )
        ghcu = ROOT / f"configs/ghcu/slim-hourglass_ghcu_{name}-96x96.py"
        if data == "real" and "DATA_ROOT" not in os.environ:
            raise SystemExit(
                "real needs DATA_ROOT: a folder with train.txt and val.txt"
            )
        for seed in args.seeds:
            folder = work_dir / data / f"seed{seed}"
            done = folder / "results.csv"
            if not args.report:
                given = given_detector(args.detectors, data, seed)
                check_settings(folder, given, args.cfg_options)
            if not done.exists() and not args.report:
                detector = given or train(plain, folder / "detector", seed, ())
                options = (f"load_from={detector}", *args.cfg_options)
                refiner = train(ghcu, folder / "ghcu", seed, options)
                config = load_config(ghcu, args.cfg_options)
                write_rows(done, evaluate(config, refiner, data, seed))
            if done.exists():
                with open(done, newline="") as file:
                    rows += list(csv.DictReader(file))
                write_rows(path, rows)
                with atomic_write(work_dir / "table.md") as file:
                    file.write(table(rows))
    print(table(rows) if rows else f"nothing finished in {work_dir}")


def write_rows(path, rows):
    with atomic_write(path, newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
