"""What the search does to targets, step by step, on faces with known truth.

Takes a detector trained on the annotations (a config with SyntheticFaceDataset
and its checkpoint), predicts heatmaps of training faces without augmentation,
and prints the RMS error against the true landmarks of

- the annotations;
- the heatmap's own centre, before any search;
- the targets that one search finds, for several patch radii, sigmas and ways of
  reading the minimum.
"""

import argparse
import itertools

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS

import semamb_mm  # noqa: F401  (lets torch.load read MMEngine's checkpoints)
from semamb_mm.functional import search_latent_targets
from semamb_mm.pose.landmark_groups import face_unit, landmark_groups


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument("--num-faces", type=int, default=250)
    parser.add_argument("--patch-radius", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--sigma-prior", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--sigma-likelihood", type=float, nargs="+", default=[1, 2])
    parser.add_argument(
        "--subcell", nargs="+", default=["none", "mean"], help="none, parabola, mean"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args()


def heatmaps_and_points(args):
    """Heatmaps (N, K, H, W), annotations and truth in cells, percent a cell."""
    config = Config.fromfile(args.config)
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    init_default_scope(config.get("default_scope", "mmpose"))
    model = init_model(config, args.checkpoint, device=args.device)
    dataset_cfg = config.train_dataloader.dataset
    dataset_cfg.pipeline = config.val_dataloader.dataset.pipeline
    dataset_cfg.indices = args.num_faces
    dataset = DATASETS.build(dataset_cfg)
    if not hasattr(dataset, "true_keypoints"):
        raise SystemExit(f"{dataset_cfg.type} does not know the true landmarks")
    stride = np.asarray(model.head.decoder.scale_factor, np.float64)
    heatmaps, annotations, truths, percents = [], [], [], []
    for i in range(len(dataset)):
        packed = dataset[i]
        sample = packed["data_samples"]
        data = model.data_preprocessor(pseudo_collate([packed]), False)
        with torch.no_grad():
            features = model.extract_feat(data["inputs"])
            heatmaps.append(model.head.forward(features)[-1].cpu())
        truth = dataset.true_keypoints(i)
        width, height = sample.input_size
        scale = width / sample.input_scale[0]
        middle = np.array([width, height]) / 2
        for points, kept in (
            (sample.gt_instances.keypoints[0], annotations),
            (truth, truths),
        ):
            kept.append(((points - sample.input_center) * scale + middle) / stride)
        percents.append(100 * stride[0] / scale / face_unit(truth[None])[0])
    return (
        torch.cat(heatmaps).contiguous(),
        np.stack(annotations),
        np.stack(truths),
        np.array(percents),
        float(np.mean(model.head.decoder.sigma)),
    )


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
    heatmaps, annotations, truths, percents, sigma = heatmaps_and_points(args)
    groups = landmark_groups(annotations.shape[1])
    names = [n for n in ("contour", "brows", "weak", "strong") if n in groups] or [
        "all"
    ]
    print(
        f"RMS error in percent of the inter-ocular distance, {len(truths)} faces; one "
        f"cell is {percents.mean():.2f} %, sigma {sigma:g} cells"
    )
    print(f"{'targets':<44}" + "".join(f"{name:>9}" for name in names))

    def row(title, points):
        error = np.linalg.norm(np.asarray(points) - truths, axis=-1)
        error = error * percents[:, None]
        cells = [np.sqrt((error[:, groups[name]] ** 2).mean()) for name in names]
        print(f"{title:<44}" + "".join(f"{cell:>9.2f}" for cell in cells), flush=True)

    row("annotations", annotations)
    row("heatmap's centre of mass", centroid(heatmaps))
    observed = torch.from_numpy(annotations).float()
    for patch, prior, likelihood, subcell in itertools.product(
        args.patch_radius, args.sigma_prior, args.sigma_likelihood, args.subcell
    ):
        targets, _ = search_latent_targets(
            heatmaps,
            observed,
            patch_radius=patch,
            sigma=sigma,
            sigma_prior=prior,
            sigma_likelihood=likelihood,
            subcell=subcell,
        )
        title = f"P={patch} sigma_1={prior:g} sigma_2={likelihood:g} {subcell}"
        row(title, targets)


if __name__ == "__main__":
    main()
