"""One default of the search for every resolution: measured against the best by hand.

Trains the small face detector on noisy annotations of procedural faces, for heatmaps
of 48, 64, 96, 128 and 256 cells, whose codecs' sigmas differ as those of real configs
do: the first from nothing, the others from its weights. Then searches the heatmaps of
several augmented views of the training faces, as LatentTargetHook does, with the
default and with other settings, and makes targets of what was found: alone, and with
consensus.

Prints, for each resolution, the RMS error of the weak landmarks' targets under the
default and under the setting that is best there, mean and standard deviation over
seeds, in percent of the distance of the outer eye corners. A seed is a set of faces,
the annotators' and the training's.

Finished trainings and measurements are not repeated and stopped ones go on: give the
command again.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.registry import DATASETS

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.hooks.train_pipeline import prepare_pipeline
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.samples import build_store
from semamb_mm.pose.latent_targets.search import (
    DEFAULT_SEARCH,
    PRIOR_ALONE,
    PRIOR_WITH_CONSENSUS,
    BatchSearch,
    complete_search_options,
)
from semamb_mm.pose.latent_targets.store import LatentTargetStore

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    keep_checkpoints,
    markdown,
    measured,
    merged,
    scheduled,
    spread,
    study_parser,
    train_all,
    transform,
)

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_plain_synthetic-96x96.py"


@dataclass(frozen=True)
class Heatmaps:
    """A detector's heatmaps, and how it comes to them.

    Attributes:
        pixels: Of a side of the input.
        sigma: Of the codec, in cells.
        channels: Of the layers that double the resolution.
        after: Cells of the detector whose weights it begins with; None: the first.
        epochs: On its own faces.
        batch_size: Of the training.
    """

    pixels: int
    sigma: float
    channels: tuple[int, ...]
    after: int | None = None
    epochs: int = 1
    batch_size: int = 16


# By the cells of a side.
HEATMAPS = {
    48: Heatmaps(96, 1.5, (48,)),
    64: Heatmaps(128, 2.0, (48,), after=48, epochs=3),
    96: Heatmaps(96, 2.5, (48, 16), after=48, epochs=8),
    128: Heatmaps(128, 3.0, (48, 16), after=96, epochs=4),
    256: Heatmaps(128, 6.0, (48, 16, 16), after=128, epochs=3, batch_size=8),
}
# What makes targets of what was found.
METHODS = {"alone": None, "consensus": dict()}
MOMENTUM = 0.1
OLD = "default of 0.3"
# Settings to find the best by hand among: prior and likelihood, then other options.
SETTINGS = {
    f"prior={prior:.3g} likelihood={likelihood:.3g}": dict(
        prior=prior, likelihood=likelihood
    )
    for prior, likelihoods in (
        (1 / 2, (1 / 8, 1 / 6)),
        (0.8, (1 / 6, 0.2)),
        (1, (0.2, 1 / 4)),
        (2, (0.2, 1 / 3)),
        (16 / 3, (1 / 8, 1 / 6, 0.2, 1 / 4)),
    )
    for likelihood in likelihoods
}
for _prior in (0.8, 16 / 3):
    SETTINGS[f"prior={_prior:.3g} patch_radius=1.33"] = dict(
        prior=_prior, patch_radius=4 / 3
    )
# Of 48 cells whose sigma is 1.5 cells: 8 cells, a prior of 4 cells.
SETTINGS[OLD] = dict(prior=8 / 3, likelihood=2 / 3)


def parse_args():
    """Read the command line."""
    parser = study_parser(
        __doc__, "work_dirs/search_defaults", options_of="all but the first training"
    )
    parser.add_argument("--cells", type=int, nargs="+", default=list(HEATMAPS))
    parser.add_argument("--faces", type=int, default=300, help="of a seed")
    parser.add_argument("--views", type=int, default=3, help="of each face")
    parser.add_argument(
        "--first", help="a trained checkpoint in place of the first training's"
    )
    return parser.parse_args()


def heatmaps_of(cells: int) -> Change:
    """Predict heatmaps of so many cells a side."""
    kind = HEATMAPS[cells]

    def change(config: Config) -> None:
        head = config.model.head
        head.deconv_out_channels = kind.channels
        head.deconv_kernel_sizes = (4,) * len(kind.channels)
        head.decoder.update(
            input_size=(kind.pixels, kind.pixels),
            heatmap_size=(cells, cells),
            sigma=kind.sigma,
        )
        transform(config, "GenerateTarget").encoder = dict(head.decoder)
        transform(config, "TopdownAffine").input_size = (kind.pixels, kind.pixels)
        config.train_dataloader.batch_size = kind.batch_size

    return change


def fine_tuned(seed: int, faces: int) -> Change:
    """Train on few faces of a seed of their own, without validation."""

    def change(config: Config) -> None:
        config.train_dataloader.dataset.update(num_samples=faces, seed=100 + seed)
        config.train_dataloader.update(num_workers=0, persistent_workers=False)
        config.optim_wrapper.optimizer.lr = 1e-3
        config.param_scheduler[0].end = 5
        config.val_cfg = config.val_dataloader = config.val_evaluator = None

    return change


def begin_with(checkpoint: str | None) -> Change:
    """Begin with these weights, if there are any."""

    def change(config: Config) -> None:
        config.load_from = checkpoint or config.get("load_from")

    return change


def plan(args) -> list[Run]:
    """Return the training of each seed and resolution."""
    common = dict(work_dir=Path(args.work_dir), config=CONFIG)
    first = None if args.first else Run(("first",), 0, **common)
    runs = []
    for seed in args.seeds:
        detectors: dict[int, Run] = {}
        for cells, kind in HEATMAPS.items():
            detectors[cells] = Run(
                (f"{cells} cells",),
                seed,
                changes=(
                    begin_with(None if kind.after else args.first),
                    heatmaps_of(cells),
                    scheduled(kind.epochs),
                    fine_tuned(seed, args.faces),
                    keep_checkpoints(1),
                    merged(args.cfg_options),
                ),
                after=detectors[kind.after] if kind.after else first,
                **common,
            )
        runs += [detectors[cells] for cells in args.cells]
    return runs


def views_of(run: Run, views: int) -> Iterator[tuple]:
    """Yield model, data set, store, heatmaps and samples of every batch of every view.

    Heatmaps are predicted as in training: augmented faces, batches' own statistics.
    """
    config = run.resolved
    # Of the targets only the weights are read: make them small.
    encoder = dict(config.model.head.decoder, heatmap_size=(24, 24), sigma=1.0)
    transform(config, "GenerateTarget").encoder = encoder
    model = init_model(config, str(run.checkpoint), device="cpu").train()
    dataset = DATASETS.build(config.train_dataloader.dataset)
    store = build_store(dataset)
    for loader in prepare_pipeline(dataset)[0]:
        loader.connect(store.shared)
    size = config.train_dataloader.batch_size
    for view in range(views):
        store.shared.clock = (run.seed, view)
        for first in range(0, len(dataset), size):
            last = min(first + size, len(dataset))
            batch = pseudo_collate([dataset[i] for i in range(first, last)])
            data = model.data_preprocessor(batch, training=True)
            with torch.no_grad():
                outputs = model.head.forward(model.extract_feat(data["inputs"]))
            heatmaps = model.head.to_ideal(outputs)
            yield model, dataset, store, heatmaps, data["data_samples"]


def search_with(run: Run, views: int) -> dict:
    """Return RMS errors: of the annotations, and by setting and method."""
    searches: dict[str, BatchSearch] = {}
    stores: dict[str, LatentTargetStore] = {}
    for model, dataset, store, heatmaps, samples in views_of(run, views):
        if not searches:
            annotations = store.annotations
            grid = model.head.search_grid
            for name, given in SETTINGS.items():
                options = complete_search_options(given, grid, 68, name)
                searches[name] = BatchSearch(options, grid, "annotation", False)
                stores[name] = build_store(dataset)
        for name, search in searches.items():
            stores[name].record(search(heatmaps, samples), MOMENTUM)
    truths = np.stack([dataset.true_keypoints(i) for i in range(len(dataset))])
    figures = dict(annotations=errors(annotations, truths))
    for name, found in stores.items():
        figures[name] = {}
        for method, consensus in METHODS.items():
            TargetMaker(consensus).apply(found, MOMENTUM)
            figures[name][method] = errors(found.targets, truths)
    return figures


def errors(points: torch.Tensor, truths: np.ndarray) -> dict[str, float]:
    """Return the RMS errors of weak and strong landmarks, percent."""
    error = np.linalg.norm(points.double().numpy() - truths, axis=-1)
    error = 100 * error / face_unit(truths)[:, None]
    groups = landmark_groups(truths.shape[1])
    return {
        region: float(np.sqrt((error[:, groups[region]] ** 2).mean()))
        for region in ("weak", "strong")
    }


def default_of(method: str) -> str:
    """Return the setting that is LatentTargetHook's default with a method."""
    prior = PRIOR_ALONE if METHODS[method] is None else PRIOR_WITH_CONSENSUS
    return f"prior={prior:.3g} likelihood={DEFAULT_SEARCH['likelihood']:.3g}"


def table(figures: Mapping[int, Sequence[Mapping]]) -> str:
    """Return Markdown of cells to the figures of each seed."""
    head = ["cells", "annotations"]
    for method in METHODS:
        head += [method, "best by hand", "which", "default against it", OLD]
    rows = []
    for cells, seeds in figures.items():
        row = [cells, spread(seed["annotations"]["weak"] for seed in seeds)]
        for method in METHODS:
            mean = {
                name: statistics.mean(seed[name][method]["weak"] for seed in seeds)
                for name in SETTINGS
            }
            best = min(mean, key=mean.get)
            names = (default_of(method), best, OLD)
            default, tuned, old = (
                spread(seed[name][method]["weak"] for seed in seeds) for name in names
            )
            worse = 100 * (mean[default_of(method)] / mean[best] - 1)
            row += [default, tuned, best, f"{worse:+.1f} %", old]
        rows.append(row)
    return markdown(head, rows) + "\n"


def main():
    """Train and measure what is missing, and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        train_all(runs, args.jobs)
    figures: dict[int, list[Mapping]] = {}
    for run in runs:
        if run.finished:
            measure = partial(search_with, views=args.views)
            cells = int(run.names[0].split()[0])
            figures.setdefault(cells, []).append(measured(run, measure))
    if not figures:
        raise SystemExit(NOTHING_FINISHED)
    text = table({cells: figures[cells] for cells in sorted(figures)})
    with atomic_write(Path(args.work_dir) / "table.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
