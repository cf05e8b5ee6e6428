"""What the search does to targets, step by step, on faces with known truth.

Takes a detector trained on the annotations (a config with SyntheticFaceDataset
and its checkpoint), predicts heatmaps of training faces, and prints the RMS error
against the true landmarks of

- the annotations;
- the heatmap's own centre, before any search;
- the targets that one search finds, for several patch radii, sigmas and ways of
  reading the minimum;
- the consensus of each of these with the annotations, if the config's
  LatentTargetHook has one.

With --views above 1 the faces are seen under the config's own random flips and
boxes, and positions are averaged over the views, as LatentTargetHook does over
epochs.
"""

import argparse
import itertools

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.utils import track_iter_progress
from mmpose.apis import init_model
from mmpose.registry import DATASETS

import semamb_mm  # noqa: F401  (lets torch.load read MMEngine's checkpoints)
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_size, face_unit
from semamb_mm.functional import (
    consensus_targets,
    curve_tangents,
    search_latent_targets,
)
from semamb_mm.pose.latent_targets.samples import build_store, transforms_of
from semamb_mm.pose.latent_targets.warp import input_warp
from semamb_mm.pose.transforms import LoadLatentTargets

AUGMENTATION = ("RandomFlip", "RandomBBoxTransform", "PhotometricDistortion")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument("--num-faces", type=int, default=250)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--patch-radius", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sigma-prior", type=float, nargs="+", default=[2, 4])
    parser.add_argument("--sigma-likelihood", type=float, nargs="+", default=[1, 2])
    parser.add_argument(
        "--sigma-normal",
        type=float,
        nargs="+",
        default=[0, 0.5],
        help="the prior across the config's head.search.curves; 0: the paper's prior",
    )
    parser.add_argument(
        "--subcell", nargs="+", default=["none", "mean"], help="none, parabola, mean"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args()


def build(args):
    """Model, training faces under the pipeline to diagnose, store, consensus."""
    config = Config.fromfile(args.config)
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    init_default_scope(config.get("default_scope", "mmpose"))
    model = init_model(config, args.checkpoint, device=args.device)
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
            step.connect(store)
    hooks = [h for h in config.get("custom_hooks", []) if "consensus" in h]
    return model, dataset, store, hooks[0]["consensus"] if hooks else None


def see(model, dataset):
    """Heatmaps (N, K, H, W), annotations in cells (N, K, 2), each face's warp."""
    stride = np.asarray(model.head.decoder.scale_factor, np.float64)
    heatmaps, observed, warps = [], [], []
    (use_udp,) = {t.use_udp for t in transforms_of(dataset) if hasattr(t, "use_udp")}
    for i in range(len(dataset)):
        packed = dataset[i]
        sample = packed["data_samples"]
        data = model.data_preprocessor(pseudo_collate([packed]), False)
        with torch.no_grad():
            features = model.extract_feat(data["inputs"])
            heatmaps.append(model.head.forward(features)[-1].cpu())
        warps.append(input_warp(sample, use_udp=use_udp))
        observed.append(sample.gt_instances.transformed_keypoints[0] / stride)
    observed = torch.from_numpy(np.stack(observed)).float()
    return torch.cat(heatmaps).contiguous(), observed, warps


def centroid(heatmaps):
    """Centre of mass of the cells above 0.3 of the peak: (N, K, 2) cells."""
    weights = heatmaps.clamp(min=0)
    weights = weights * (weights > 0.3 * weights.amax((-1, -2), keepdim=True))
    total = weights.sum((-1, -2)).clamp(min=1e-9)
    height, width = heatmaps.shape[-2:]
    x = (weights.sum(-2) * torch.arange(width)).sum(-1) / total
    y = (weights.sum(-1) * torch.arange(height)).sum(-1) / total
    return torch.stack((x, y), -1)


def main():
    args = parse_args()
    model, dataset, store, consensus = build(args)
    stride = np.asarray(model.head.decoder.scale_factor, np.float64)
    sigma = model.head.search["sigma"]
    curves = model.head.search["curves"] or []
    normals = args.sigma_normal if curves else [0]
    settings = list(
        itertools.product(
            args.patch_radius,
            args.sigma_prior,
            normals,
            args.sigma_likelihood,
            args.subcell,
        )
    )
    truths = np.stack([dataset.true_keypoints(i) for i in range(len(dataset))])
    percents = 100 / face_unit(truths)
    found = np.zeros((1 + len(settings), *truths.shape))
    cells = []
    for view in track_iter_progress(list(range(args.views))):
        store.clock = (0, view)
        heatmaps, observed, warps = see(model, dataset)
        cells += [
            percent * stride[0] / np.sqrt(abs(np.linalg.det(warp.matrix[:, :2])))
            for percent, warp in zip(percents, warps)
        ]

        def keep(row, targets, warps=warps):
            points = targets.double().numpy() * stride
            images = [warp.to_image(p) for warp, p in zip(warps, points)]
            found[row] += np.stack(images) / args.views

        keep(0, centroid(heatmaps))
        tangents = curve_tangents(observed, curves)
        for row, (patch, prior, normal, likelihood, subcell) in enumerate(settings):
            options = dict(tangents=tangents, sigma_normal=normal) if normal else {}
            targets, _ = search_latent_targets(
                heatmaps,
                observed,
                patch_radius=patch,
                sigma=sigma,
                sigma_prior=prior,
                sigma_likelihood=likelihood,
                subcell=subcell,
                **options,
            )
            keep(row + 1, targets)

    groups = landmark_groups(truths.shape[1])
    names = [n for n in ("contour", "brows", "nose", "weak", "strong") if n in groups]
    names = names or ["all"]
    print(
        f"\nRMS error in percent of the inter-ocular distance, {len(truths)} faces, "
        f"{args.views} view(s); one cell is {np.mean(cells):.2f} %, sigma {sigma:g} "
        "cells"
    )
    print(f"{'targets':<48}" + "".join(f"{name:>9}" for name in names))

    def show(title, points):
        error = np.linalg.norm(points - truths, axis=-1) * percents[:, None]
        values = [np.sqrt((error[:, groups[name]] ** 2).mean()) for name in names]
        print(f"{title:<48}" + "".join(f"{value:>9.2f}" for value in values))

    annotations = store.annotations.double()
    size = torch.from_numpy(face_size(annotations.numpy()))[:, None, None]

    def show_both(title, points):
        show(title, points)
        if consensus is not None:
            points = torch.from_numpy(points) / size
            points = consensus_targets(annotations / size, points, **consensus) * size
            show("    and consensus", points.numpy())

    show("annotations", annotations.numpy())
    show_both("heatmap's centre of mass", found[0])
    for row, (patch, prior, normal, likelihood, subcell) in enumerate(settings):
        across = f" sigma_normal={normal:g}" if normal else ""
        show_both(
            f"P={patch} sigma_1={prior:g}{across} sigma_2={likelihood:g} {subcell}",
            found[row + 1],
        )


if __name__ == "__main__":
    main()
