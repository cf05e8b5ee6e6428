"""Compare pair losses in zero-shot retrieval of Omniglot, clean and with wrong labels.

Every method trains the same network by the same schedule, sampler, augmentation
and joint cross-entropy; what differs is the metric loss. ``triplet`` (semi-hard
mining) and ``multi_similarity`` are pytorch-metric-learning's, with their
published settings. ``authors`` is OSM/CAA as the authors' own code had it.
``cross_entropy`` has no metric loss, ``contrastive_alone`` no cross-entropy. The
last epoch is evaluated; none is selected.

Writes ``curves.csv`` (every validation), ``results.csv`` (the last one, and how
well attention finds wrong labels), ``table.md``, ``recall.png`` and ``roc.png``
into --work-dir. Finished runs are not repeated and stopped ones go on: give the
command again.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, roc_curve

from semamb_mm.cli import open_retrieval_model, training_set
from semamb_mm.formats.files import atomic_path, atomic_write
from semamb_mm.pretrain.inference import classify_dataset

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    curve,
    keep_checkpoints,
    markdown,
    measured,
    merged,
    panels,
    spread,
    study_parser,
    train_all,
    validations,
    write_csv,
)

CONFIG = ROOT / "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"
LIBRARY = dict(_delete_=True, type="PytorchMetricLearningLoss")
SEMIHARD = dict(type="TripletMarginMiner", margin=0.2, type_of_triplets="semihard")
METHODS = {
    "cross_entropy": dict(loss=dict(osm=False, caa=False, loss_weight=0.0)),
    "contrastive_alone": dict(
        loss=dict(osm=False, caa=False),
        classification_loss=dict(type="CrossEntropyLoss", loss_weight=0.0),
    ),
    "contrastive": dict(loss=dict(osm=False, caa=False)),
    "osm": dict(loss=dict(osm=True, caa=False)),
    "caa": dict(loss=dict(osm=False, caa=True)),
    "osm_caa": dict(loss=dict(osm=True, caa=True)),
    "authors": dict(
        loss=dict(attention="gaussian", half_exponent=True, temperature=1.0),
        temperature=1.0,
        classifier="features",
        classification_weights=dict(mean=0.5, sigma=0.18),
    ),
    "triplet": dict(
        loss=dict(
            LIBRARY, loss=dict(type="TripletMarginLoss", margin=0.2), miner=SEMIHARD
        )
    ),
    "multi_similarity": dict(
        loss=dict(
            LIBRARY,
            loss=dict(type="MultiSimilarityLoss"),
            miner=dict(type="MultiSimilarityMiner", epsilon=0.1),
        )
    ),
}
SCORES = ("Recall@1", "mAP")
VALIDATED = "retrieval/"


class Training(Run):
    """A run of one method at one share of wrong labels."""

    noise = property(lambda self: float(self.names[0].removeprefix("noise")))
    method = property(lambda self: self.names[1])


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/omniglot_study")
    parser.add_argument("--data-root", help="of the config if left out")
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[0.0, 0.1, 0.2, 0.4],
        help="shares of wrong training labels",
    )
    parser.add_argument(
        "--methods", nargs="+", default=list(METHODS), choices=list(METHODS)
    )
    return parser.parse_args()


def with_loss(method: str) -> Change:
    """Train by a method's losses."""

    def change(config: Config) -> None:
        head = config.model.head
        # The class scores of the library's losses share the temperature too.
        shared = dict(temperature=head.loss.temperature)
        head = {**shared, **deepcopy(METHODS[method])}
        config.merge_from_dict(dict(model=dict(head=head)))

    return change


def with_noise(noise: float, seed: int) -> Change:
    """Replace a share of the training labels; batches are the seed's, too."""

    def change(config: Config) -> None:
        loader = config.train_dataloader
        loader.sampler.seed = seed
        loader.dataset.update(label_noise=noise, noise_seed=seed)

    return change


def plainly_logged(config: Config) -> None:
    """Write no files for TensorBoard."""
    config.visualizer.vis_backends = [dict(type="LocalVisBackend")]


def plan(args) -> Iterator[Training]:
    """Yield all runs."""
    root = Path(args.data_root).resolve() if args.data_root else None
    for seed in args.seeds:
        for noise in args.noise:
            for method in args.methods:
                yield Training(
                    (f"noise{noise:g}", method),
                    seed,
                    Path(args.work_dir),
                    CONFIG,
                    changes=(
                        with_loss(method),
                        with_noise(noise, seed),
                        keep_checkpoints(1),
                        plainly_logged,
                        merged(args.cfg_options),
                    ),
                    data_root=root,
                )


def measure(run: Training) -> dict[str, float]:
    """Return the last validation and how well attention finds wrong labels."""
    last = validations(run, VALIDATED)[run.epochs]
    result = {k.split("/")[-1]: v for k, v in last.items() if "/" in k}
    attention, label, true = attention_to_labels(run)
    with atomic_path(attention_file(run)) as path:
        np.savez(path, attention=attention, label=label, true=true)
    wrong = label != true
    if wrong.any():
        result["attention_auc"] = roc_auc_score(wrong, -attention)
        result["context_accuracy_wrong"] = float((attention[wrong] > 0.5).mean())
    return result


def attention_file(run: Training) -> Path:
    """Return where a run's attention is kept."""
    return run.folder / "attention.npz"


def attention_to_labels(run: Training) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return attention, label, true label of every training image, not augmented."""
    config = deepcopy(run.resolved)
    init_default_scope("mmpretrain")
    import_modules_from_strings(config.custom_imports.imports)
    model = open_retrieval_model(config, run.checkpoint)
    dataset = training_set(config, config.val_dataloader.dataset.pipeline)
    label = dataset.get_gt_labels()
    _, scores = classify_dataset(model, dataset)
    attention = softmax(scores, axis=1)[np.arange(len(label)), label]
    infos = map(dataset.get_data_info, range(len(dataset)))
    true = np.array([info.get("true_label", info["gt_label"]) for info in infos])
    return attention, label, true


def scores_of(results: Sequence[dict], score: str, **where) -> dict[int, float]:
    """Return seed to score of the results that are asked for."""
    return {
        r["seed"]: r[score]
        for r in results
        if score in r and all(r[name] == value for name, value in where.items())
    }


def tables(args, results: Sequence[dict]) -> str:
    """Return Markdown of each score: methods down, shares of wrong labels across."""
    seeds = ", ".join(map(str, args.seeds))
    parts = [f"Seeds {seeds}; mean ± standard deviation over seeds."]
    for score in (*SCORES, "attention_auc"):
        rows = [
            [
                method,
                *(
                    spread(
                        scores_of(results, score, method=method, noise=noise).values()
                    )
                    for noise in args.noise
                ),
            ]
            for method in args.methods
        ]
        parts.append(markdown([score, *(f"{n:.0%} wrong" for n in args.noise)], rows))
    return "\n\n".join(parts) + "\n"


def draw_recall(args, results: Sequence[dict], axes: Axes) -> None:
    """Draw Recall@1 by the share of wrong labels."""
    for number, method in enumerate(args.methods):
        series = []
        for seed in args.seeds:
            where = dict(method=method, seed=seed)
            points = {
                100 * noise: value
                for noise in args.noise
                for value in scores_of(
                    results, "Recall@1", noise=noise, **where
                ).values()
            }
            if points:
                series.append(points)
        if series:
            curve(axes, series, method, number)
    axes.set(xlabel="wrong training labels, %", ylabel="Recall@1, %")


def draw_roc(args, runs: Sequence[Training], axes: Axes) -> None:
    """Draw how low attention tells wrong labels from right ones."""
    method = "osm_caa" if "osm_caa" in args.methods else args.methods[0]
    false = np.linspace(0, 1, 201)
    for number, noise in enumerate(args.noise):
        series = []
        for run in runs:
            if (run.method, run.noise) == (method, noise) and noise > 0:
                with np.load(attention_file(run)) as data:
                    wrong = data["label"] != data["true"]
                    x, y, _ = roc_curve(wrong, -data["attention"])
                series.append(dict(zip(false, np.interp(false, x, y))))
        if series:
            curve(axes, series, f"{noise:.0%} wrong", number)
    axes.set(
        xlabel="right labels taken for wrong",
        ylabel="wrong labels found",
        title=f"lowest attention first, {method}",
    )


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = list(plan(args))
    if not args.report:
        train_all(runs, args.jobs)
    runs = [run for run in runs if run.finished]
    if not runs:
        raise SystemExit(NOTHING_FINISHED)
    results, curves, out = [], [], Path(args.work_dir)
    for run in runs:
        head = dict(method=run.method, noise=run.noise, seed=run.seed)
        results.append({**head, **measured(run, measure)})
        for epoch, metrics in validations(run, VALIDATED).items():
            scores = {score: metrics[VALIDATED + score] for score in SCORES}
            curves.append({**head, **scores, "epoch": epoch})
    write_csv(out / "results.csv", results)
    write_csv(out / "curves.csv", curves)
    text = tables(args, results)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    with panels(out / "recall.png") as (axes,):
        draw_recall(args, results, axes)
    with panels(out / "roc.png") as (axes,):
        draw_roc(args, runs, axes)
    print(text)


if __name__ == "__main__":
    main()
