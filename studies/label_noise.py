"""Compare metric losses under wrong labels, each tuned alike, with intervals.

Zero-shot retrieval of small images: Omniglot's characters, and places in photographs
(studies/photo_places.py). Each method is tuned first: the settings in GRIDS are
trained on Omniglot's ``train_only`` split, 20 % of its labels wrong, and the setting is
taken whose mAP is best on the ``val`` split, an alphabet that is held out. Test classes
choose nothing. ``osm`` and ``caa`` take the setting of ``osm_caa``.

``prism`` is PRISM (studies/prism.py) as published: a contrastive loss over a memory,
no cross-entropy. ``prism_joint`` is its selection for the losses of ``contrastive``:
the metric loss sees what is selected, the joint cross-entropy all. Both are told the
true share of wrong labels. The other methods are those of studies/omniglot.py.

Writes ``results.csv``, ``tuning.csv``, ``table.md`` and ``recall.png`` into
--work-dir. What is trained is not trained again: give the command again, also with
more --seeds, --noise or --methods.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from matplotlib.axes import Axes
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from sklearn.metrics import roc_auc_score

from semamb_mm.formats.files import atomic_write

from . import photo_places, prism, small_retrieval
from .engine import (
    NOTHING_FINISHED,
    curve,
    markdown,
    paired,
    panels,
    spread,
    write_csv,
)
from .omniglot import CONFIG, METHODS

PRISM = dict(_delete_=True, type=prism.PRISMLoss.__name__)
WARM_UP = 110  # batches before PRISM selects: five epochs
METHODS = deepcopy(METHODS) | {
    "prism": dict(
        loss=PRISM,
        classification_loss=dict(type="CrossEntropyLoss", loss_weight=0.0),
    ),
    "prism_joint": dict(
        loss=dict(
            PRISM,
            warm_up=WARM_UP,
            loss=dict(type="OSMCAALoss", osm=False, caa=False),
        )
    ),
}
# kind and share of wrong labels
NOISES = {
    "clean": ("symmetric", 0.0),
    "10 %": ("symmetric", 0.1),
    "20 %": ("symmetric", 0.2),
    "40 %": ("symmetric", 0.4),
    "clusters 25 %": ("small_cluster", 0.25),
}
TUNING_NOISE = "20 %"
TUNING_SEED = 100
TUNING_EPOCHS = 40
TEMPERATURE = 0.1  # of the class scores, where a method has one
RATES = (0.005, 0.02)
MARGINS = tuple(dict(loss=dict(margin=margin)) for margin in (0.8, 1.2))


def _library(**options: Sequence[float]) -> tuple[dict, ...]:
    """Return one change of a pytorch-metric-learning loss for each value."""
    ((name, values),) = options.items()
    return tuple(dict(loss=dict(loss={name: value})) for value in values)


# What is tried beside both learning rates: two values of the method's own parameter.
GRIDS = {
    "cross_entropy": tuple(dict(temperature=value) for value in (0.05, 0.1)),
    "contrastive_alone": MARGINS,
    "contrastive": MARGINS,
    "osm_caa": MARGINS,
    "authors": MARGINS,
    "triplet": _library(margin=(0.1, 0.3)),
    "multi_similarity": _library(beta=(10, 50)),
    "prism": tuple(dict(loss=dict(warm_up=k * WARM_UP)) for k in (1, 2)),
    "prism_joint": tuple(dict(loss=change) for change in MARGINS),
}
TUNED_AS = {"osm": "osm_caa", "caa": "osm_caa"}
DATA = {"omniglot": "small", "photos": "full"}
SCORES = ("Recall@1", "mAP", "MAP@R")


@dataclass(frozen=True)
class Setting:
    """One point of a method's grid."""

    lr: float
    head: Mapping


@dataclass(frozen=True)
class Cell:
    """One training: a method on a data set with wrong labels."""

    data: str
    noise: str
    method: str
    seed: int
    setting: Setting
    epochs: int
    splits: tuple[str, str] = ("train", "test")

    def images(self, data_root: str) -> Iterator[small_retrieval.Images]:
        """Yield what is trained on and what is scored."""
        kind, share = NOISES[self.noise]
        noise = dict(label_noise=share, noise_kind=kind, noise_seed=self.seed)
        for split, options in zip(self.splits, (noise, {})):
            yield small_retrieval.read_images(
                data_root, DATA[self.data], split, **options
            )

    def head(self, images: int) -> dict:
        """Return what the head's config differs in, for so many training images."""
        head = deepcopy(METHODS[self.method])
        head.setdefault("temperature", TEMPERATURE)
        if "prism" in self.method:
            head["loss"].update(
                embedding_channels=64,
                memory_size=images,
                noise_rate=NOISES[self.noise][1],
            )
        merged = Config(dict(head=head))
        merged.merge_from_dict(dict(head=dict(self.setting.head)))
        return merged.head.to_dict()

    def train(self, data_root: str) -> dict[str, float]:
        """Train and return the scores."""
        train, test = self.images(data_root)
        model_config = small_retrieval.retriever(
            base_config(),
            int(train.labels.max()) + 1,
            self.head(len(train.labels)),
        )
        started = time.process_time()
        model = small_retrieval.train(
            model_config, train, self.setting.lr, self.epochs, self.seed
        )
        result = dict(
            small_retrieval.scores(model, test),
            cpu_seconds=time.process_time() - started,
        )
        head = model.head
        trained = head.classification_loss.loss_weight > 0
        if train.wrong.any() and trained and head.classifier == "context":
            attention = small_retrieval.attention(model, train)
            result["attention_auc"] = roc_auc_score(train.wrong, -attention)
        return result


@cache
def base_config() -> Config:
    """Return the config whose model is trained."""
    return Config.fromfile(CONFIG)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", required=True, help="Omniglot's folder")
    parser.add_argument("--work-dir", type=Path, default="work_dirs/label_noise")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=list(DATA))
    parser.add_argument("--noise", nargs="+", default=list(NOISES), choices=NOISES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument(
        "--baseline",
        default="contrastive",
        choices=METHODS,
        help="what the paired differences are to (%(default)s)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--epochs", type=int, default=TUNING_EPOCHS)
    parser.add_argument(
        "--report", action="store_true", help="train nothing, report what is finished"
    )
    return parser.parse_args()


def grid(method: str) -> list[Setting]:
    """Return the settings that are tried for a method."""
    return [Setting(lr, head) for lr in RATES for head in GRIDS[method]]


class Study:
    """Trains cells and keeps what they gave under a folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def root(self, data: str) -> str:
        """Return a data set's folder; photographs' places are drawn when missing."""
        if data == "omniglot":
            return self.args.data_root
        folder = self.args.work_dir / data
        if not folder.exists():
            photo_places.write_places(folder)
        return str(folder)

    def result(self, cell: Cell, *names: str) -> dict | None:
        """Return a cell's scores, trained now if they are not there.

        Args:
            cell: What to train.
            names: Of its file, from the folder on.

        Returns:
            None if nothing is to be trained.

        Raises:
            SystemExit: If the file is of another setting or schedule.
        """
        path = self.args.work_dir.joinpath(*names).with_suffix(".json")
        asked = dict(lr=cell.setting.lr, head=cell.setting.head, epochs=cell.epochs)
        if path.exists():
            kept = json.loads(path.read_text())
            if kept["asked"] != json.loads(json.dumps(asked)):
                raise SystemExit(
                    f"{path}: trained with {kept['asked']}, asked for {asked}; take "
                    "another --work-dir or delete the file"
                )
            return kept["scores"]
        if self.args.report:
            return None
        scores = cell.train(self.root(cell.data))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            json.dump(dict(asked=asked, scores=scores), file, indent=2)
        print(
            f"{path}: Recall@1 {scores['Recall@1']:.1f}, mAP {scores['mAP']:.1f}, "
            f"{scores['cpu_seconds']:.0f} CPU s",
            flush=True,
        )
        return scores

    def tuning(self, method: str) -> Iterator[tuple[Setting, dict]]:
        """Yield the settings of a method that are tried, and their scores."""
        for number, setting in enumerate(grid(method)):
            cell = Cell(
                "omniglot",
                TUNING_NOISE,
                method,
                TUNING_SEED,
                setting,
                TUNING_EPOCHS,
                ("train_only", "val"),
            )
            scores = self.result(cell, "tuning", method, str(number))
            if scores is not None:
                yield setting, scores

    def chosen(self, method: str) -> Setting | None:
        """Return the setting with the best mAP; None if not all are tried."""
        method = TUNED_AS.get(method, method)
        tried = list(self.tuning(method))
        if len(tried) < len(grid(method)):
            return None
        return max(tried, key=lambda pair: pair[1]["mAP"])[0]

    def results(self) -> Iterator[dict]:
        """Yield the scores of all cells, trained where missing; seeds outermost."""
        args = self.args
        settings = {method: self.chosen(method) for method in args.methods}
        for seed in args.seeds:
            for data in args.data:
                for noise in args.noise:
                    for method, setting in settings.items():
                        if setting is None:
                            continue
                        cell = Cell(data, noise, method, seed, setting, args.epochs)
                        names = (f"{args.epochs}-epochs", data, noise, method)
                        scores = self.result(cell, *names, f"seed{seed}")
                        if scores is not None:
                            where = dict(data=data, noise=noise, method=method)
                            yield {**where, "seed": seed, **scores}


def by_seed(results: Sequence[dict], score: str, **where: str) -> dict[int, float]:
    """Return seed to score of the results that are asked for."""
    return {
        r["seed"]: r[score]
        for r in results
        if score in r and all(r[name] == value for name, value in where.items())
    }


def tables(args: argparse.Namespace, results: Sequence[dict]) -> str:
    """Return Markdown: methods down, kinds of noise across, for each data set."""
    parts = [
        f"{args.epochs} epochs. Mean ± standard deviation over seeds (their number); "
        f"then the paired difference to {args.baseline} with its 95 % t interval."
    ]
    for data in args.data:
        for score in (*SCORES, "attention_auc"):
            rows, differences = [], []
            for method in args.methods:
                row, difference = [method], [method]
                for noise in args.noise:
                    where = dict(data=data, noise=noise)
                    own = by_seed(results, score, method=method, **where)
                    base = by_seed(results, score, method=args.baseline, **where)
                    row.append(f"{spread(own.values())} ({len(own)})" if own else "")
                    difference.append(paired(own, base))
                rows.append(row)
                differences.append(difference)
            parts.append(markdown([f"{data}: {score}", *args.noise], rows))
            if score in SCORES:
                head = [f"{data}: {score}, difference", *args.noise]
                parts.append(markdown(head, differences))
    return "\n\n".join(parts) + "\n"


def draw(args: argparse.Namespace, results, data: str, axes: Axes) -> None:
    """Draw Recall@1 by the share of labels that are wrong at random."""
    shares = {n: NOISES[n][1] for n in args.noise if NOISES[n][0] == "symmetric"}
    for number, method in enumerate(args.methods):
        series: dict[int, dict[float, float]] = {}
        for noise, share in shares.items():
            where = dict(data=data, noise=noise, method=method)
            for seed, value in by_seed(results, "Recall@1", **where).items():
                series.setdefault(seed, {})[100 * share] = value
        if series:
            curve(axes, list(series.values()), method, number)
    axes.set(xlabel="wrong training labels, %", ylabel="Recall@1, %", title=data)


def main() -> None:
    """Train what is missing and report."""
    args = parse_args()
    torch.set_num_threads(1)
    MMLogger.get_instance("label_noise", log_level="WARNING")
    init_default_scope("mmpretrain")
    study = Study(args)
    results = list(study.results())
    if not results:
        raise SystemExit(NOTHING_FINISHED)
    tuned = [
        dict(method=method, lr=setting.lr, **_flat(setting.head), **scores)
        for method in GRIDS
        for setting, scores in (study.tuning(method) if method in args.methods else ())
    ]
    write_csv(args.work_dir / "results.csv", results)
    write_csv(args.work_dir / "tuning.csv", tuned)
    text = tables(args, results)
    with atomic_write(args.work_dir / "table.md") as file:
        file.write(text)
    with panels(args.work_dir / "recall.png", len(args.data)) as row:
        for data, axes in zip(args.data, row, strict=True):
            draw(args, results, data, axes)
    print(text)


def _flat(head: Mapping, before: str = "") -> dict[str, float]:
    """Return nested settings as columns."""
    found = {}
    for name, value in head.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"setting {before}{name}"] = value
    return found


if __name__ == "__main__":
    main()
