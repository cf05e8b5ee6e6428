"""What the search does to targets, step by step, on faces with known truth.

Takes a detector trained on the annotations (a config with SyntheticFaceDataset
and its checkpoint), predicts heatmaps of training faces, and prints the RMS error
against the true landmarks of

- the annotations;
- the heatmap's own centre, before any search;
- the targets that one search finds, for several options of the hook's ``search`` and
  ways of reading the minimum;
- the consensus of each of these with the annotations, if the config's
  LatentTargetHook has one.

With --views above 1 the faces are seen under the config's own random flips and
boxes, and positions are averaged over the views, as LatentTargetHook does over
epochs.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.utils import track_iter_progress
from mmpose.registry import DATASETS

from semamb_mm.cli import model_parser, open_config, open_pose_model
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_size, face_unit
from semamb_mm.functional import consensus_targets
from semamb_mm.pose.latent_targets.samples import build_store, transforms_of
from semamb_mm.pose.latent_targets.search import (
    complete_search_options,
    search_heatmaps,
)
from semamb_mm.pose.latent_targets.warp import input_warp
from semamb_mm.pose.transforms import LoadLatentTargets

from .network_error import told_by

AUGMENTATION = ("RandomFlip", "RandomBBoxTransform", "PhotometricDistortion")


def parse_args():
    """Read the command line."""
    parser = model_parser(__doc__)
    parser.add_argument("--num-faces", type=int, default=250)
    parser.add_argument("--views", type=int, default=1)
    for name, default in (
        ("patch-radius", [2 / 3, 4 / 3]),
        ("prior", [8 / 3, 16 / 3]),
        ("likelihood", [1 / 6, 1 / 3]),
    ):
        parser.add_argument(f"--{name}", type=float, nargs="+", default=default)
    parser.add_argument(
        "--prior-across",
        type=float,
        nargs="+",
        default=[0, 1 / 3],
        help="the prior across the curves of the config's search; 0: the same as along",
    )
    parser.add_argument(
        "--subcell", nargs="+", default=["none", "mean"], help="none, parabola, mean"
    )
    return parser.parse_args()


def build(args):
    """Return model, training faces under the pipeline to diagnose, store, hook."""
    config = open_config(args)
    model = open_pose_model(config, args.checkpoint, args.device)
    dataset_cfg = config.train_dataloader.dataset
    if args.views == 1:
        dataset_cfg.pipeline = [
            step for step in dataset_cfg.pipeline if step.type not in AUGMENTATION
        ]
    dataset_cfg.indices = args.num_faces
    dataset = DATASETS.build(dataset_cfg)
    if not hasattr(dataset, "true_keypoints"):
        raise SystemExit(f"{dataset_cfg.type} does not know the true landmarks")
    store = build_store(dataset)
    for step in transforms_of(dataset):
        if isinstance(step, LoadLatentTargets):
            step.connect(store.shared)
    hooks = [
        h for h in config.get("custom_hooks", []) if h["type"] == "LatentTargetHook"
    ]
    return model, dataset, store, hooks[0] if hooks else {}


def see(model, dataset):
    """Return heatmaps (N, K, H, W), annotations (N, K, 2) in cells, faces' warps."""
    stride = np.asarray(model.head.decoder.scale_factor, np.float64)
    heatmaps, observed, warps = [], [], []
    (use_udp,) = {t.use_udp for t in transforms_of(dataset) if hasattr(t, "use_udp")}
    for i in range(len(dataset)):
        packed = dataset[i]
        sample = packed["data_samples"]
        data = model.data_preprocessor(pseudo_collate([packed]), False)
        with torch.no_grad():
            features = model.extract_feat(data["inputs"])
            outputs = model.head.forward(features)
            heatmaps.append(model.head.to_ideal(outputs).cpu())
        warps.append(input_warp(sample, use_udp=use_udp))
        observed.append(sample.gt_instances.transformed_keypoints[0] / stride)
    observed = torch.from_numpy(np.stack(observed)).float()
    return torch.cat(heatmaps).contiguous(), observed, warps


def centroid(heatmaps):
    """Return the centre of mass of the cells above 0.3 of the peak: (N, K, 2) cells."""
    weights = heatmaps.clamp(min=0)
    weights = weights * (weights > 0.3 * weights.amax((-1, -2), keepdim=True))
    total = weights.sum((-1, -2)).clamp(min=1e-9)
    height, width = heatmaps.shape[-2:]
    x = (weights.sum(-2) * torch.arange(width)).sum(-1) / total
    y = (weights.sum(-1) * torch.arange(height)).sum(-1) / total
    return torch.stack((x, y), -1)


def settings_of(args, model, given: dict) -> list[dict]:
    """Return the options of each search to try, in the table's order.

    Args:
        args: The command line.
        model: Whose heatmaps are searched.
        given: The options of the config's own search.
    """
    names = ("patch_radius", "prior", "prior_across", "likelihood", "subcell")
    grid = {name: getattr(args, name) for name in names}
    if not given.get("curves"):
        grid["prior_across"] = [0]
    settings = []
    for values in itertools.product(*grid.values()):
        options = {**given, **dict(zip(names, values))}
        if not options["prior_across"]:
            options.update(curves=None, prior_across=None)
        head = model.head
        settings.append(
            complete_search_options(
                options, head.search_grid, head.out_channels, "diagnose_search"
            )
        )
    return settings


def find(
    model, dataset, store, settings: list[dict], views: int
) -> tuple[np.ndarray, list[float]]:
    """Search under some views.

    Returns:
        ``(1 + S, V, N, K, 2)`` image pixels, the heatmaps' own centres before what each
        search found; and each view's and face's pixels of the image in a cell.
    """
    stride = np.asarray(model.head.decoder.scale_factor, np.float64)
    everything, cells = [], []
    for view in track_iter_progress(list(range(views))):
        store.shared.clock = (0, view)
        heatmaps, observed, warps = see(model, dataset)
        cells += [
            stride[0] / np.sqrt(abs(np.linalg.det(warp.matrix[:, :2])))
            for warp in warps
        ]
        found = [centroid(heatmaps)]
        seen = torch.ones(observed.shape[:2])
        for options in settings:
            grid = model.head.search_grid
            found.append(search_heatmaps(heatmaps, observed, seen, options, grid)[0])
        points = torch.stack(found).double().numpy() * stride
        images = [[w.to_image(p) for w, p in zip(warps, row)] for row in points]
        everything.append(np.array(images))
    return np.stack(everything, 1), cells


def title_of(settings: dict) -> str:
    """Return what the table calls a search."""
    normal = settings["prior_across"]
    across = f" across={normal:.3g}" if normal else ""
    return (
        f"patch={settings['patch_radius']:.3g} prior={settings['prior']:.3g}{across} "
        f"likelihood={settings['likelihood']:.3g} {settings['subcell']}"
    )


def with_consensus(
    rows: list[tuple[str, np.ndarray]], annotations: np.ndarray, consensus: dict | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield titles and targets, each followed by its consensus with annotations.

    Args:
        rows: Titles and positions in each view, ``(V, N, K, 2)``. Of several views the
            spread bounds the network's own error; a row without it follows.
        annotations: ``(N, K, 2)`` image pixels.
        consensus: Its options; None: no consensus.
    """
    size = torch.from_numpy(face_size(annotations))[:, None, None]
    observed = torch.from_numpy(annotations) / size
    for title, views in rows:
        yield title, views.mean(0)
        if consensus is None:
            continue
        found, told = torch.from_numpy(views.mean(0)) / size, {}
        if len(views) > 1:
            found, told = told_by(torch.from_numpy(views) / size)
        ways = {"and consensus": told, "and consensus, no spread": {}}
        for name, known in list(ways.items())[: len(ways) if told else 1]:
            joint = consensus_targets(observed, found, **consensus, **known) * size
            yield f"    {name}", joint.numpy()


def print_errors(rows: Iterable[tuple[str, np.ndarray]], truths: np.ndarray) -> None:
    """Print each row's RMS errors, a column a group of landmarks."""
    percents = 100 / face_unit(truths)[:, None]
    groups = landmark_groups(truths.shape[1])
    names = [n for n in ("contour", "brows", "nose", "weak", "strong") if n in groups]
    names = names or ["all"]
    print(f"{'targets':<48}" + "".join(f"{name:>9}" for name in names))
    for title, points in rows:
        error = np.linalg.norm(points - truths, axis=-1) * percents
        values = [np.sqrt((error[:, groups[name]] ** 2).mean()) for name in names]
        print(f"{title:<48}" + "".join(f"{value:>9.2f}" for value in values))


def main():
    """Search and print the table."""
    args = parse_args()
    model, dataset, store, hook = build(args)
    settings = settings_of(args, model, hook.get("search") or {})
    truths = np.stack([dataset.true_keypoints(i) for i in range(len(dataset))])
    found, cells = find(model, dataset, store, settings, args.views)
    cell = np.mean(np.reshape(cells, (args.views, -1)) * 100 / face_unit(truths))
    print(
        f"\nRMS error in percent of the inter-ocular distance, {len(truths)} faces, "
        f"{args.views} view(s); one cell is {cell:.2f} %, sigma "
        f"{np.mean(model.head.search_grid.sigma):g} cells"
    )
    titles = ["heatmap's centre of mass", *map(title_of, settings)]
    annotations = store.annotations.double().numpy()
    made = with_consensus(list(zip(titles, found)), annotations, hook.get("consensus"))
    print_errors([("annotations", annotations), *made], truths)


if __name__ == "__main__":
    main()
