"""Choose the confidence below which a GHCU's positions replace the detector's.

Runs the detector and its refiner over the training faces twice, as they are and
with the degradation that the config trains with, prints the error for each
threshold, and writes a copy of the checkpoint with the best one: that of least
error on degraded faces among those that raise the error on clean faces by no more
than --tolerance. Thresholds are per landmark, one factor times its usual confidence.

tools/test.py and MMPose's inference use what the new checkpoint holds; its meta
carries the curve.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.utils import track_iter_progress
from torch.utils.data import DataLoader

from semamb_mm.cli import model_parser, open_config, open_pose_model, training_set
from semamb_mm.faces.sizes import face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.refiners.threshold import Measured, choose_threshold

DEGRADING = ("RandomFaceOcclusion", "RandomLowQuality")


def parse_args(argv=None):
    parser = model_parser(__doc__)
    parser.add_argument(
        "--out", help="default: <checkpoint>_threshold.pth beside the checkpoint"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.004,
        help="allowed rise of the error on clean faces (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the degradation")
    parser.add_argument("--batch-size", type=int, default=32)
    return parser.parse_args(argv)


def training_faces(config, degrade, seed):
    """The train data set under the test pipeline, degraded or not."""
    train = config.train_dataloader.dataset.pipeline
    degradation = [
        dict(t, prob=1.0, seed=seed) for t in train if t["type"] in DEGRADING
    ]
    if degrade and not degradation:
        raise SystemExit(
            f"{config.filename}: the train pipeline has none of {DEGRADING}, so there "
            "is nothing to choose a threshold by"
        )
    load, *steps, pack = config.val_dataloader.dataset.pipeline
    if degrade:
        # One kind a face, as prob 1 for all would make every face hopeless.
        steps = [
            dict(type="RandomChoice", transforms=[[t] for t in degradation])
        ] + steps
    pipeline = [load, *steps, dict(pack, pack_transformed=True)]
    return training_set(config, pipeline, test_mode=True)


@dataclass
class Predictions:
    """Of N faces, in pixels of the network's input.

    Attributes:
        truth: ``(N, K, 2)``, NaN where not labelled.
        occluded: ``(N, K)`` bool, under a patch.
        detected: ``(N, K, 2)`` from the heatmaps.
        confidence: ``(N, K)`` the heatmaps' height.
        refined: ``(N, K, 2)`` from the refiner.
    """

    truth: np.ndarray
    occluded: np.ndarray
    detected: np.ndarray
    confidence: np.ndarray
    refined: np.ndarray

    def measured(self, neighbourhood=0.0, refined=None):
        """With the errors, of the refiner or of other positions."""
        return Measured(
            self.confidence,
            self.truth,
            self.detected,
            self.refined if refined is None else refined,
            face_unit(np.nan_to_num(self.truth)),
            neighbourhood,
        )


def predict(model, dataset, batch_size=32):
    """Detector's and refiner's positions of all faces, side by side."""
    parts = []
    head = model.head
    refiner, head.refiner = head.refiner, None
    loader = DataLoader(dataset, batch_size, collate_fn=pseudo_collate)
    try:
        for batch in track_iter_progress((loader, len(loader))):
            data = model.data_preprocessor(batch, False)
            with torch.no_grad():
                heatmaps = head.forward(model.extract_feat(data["inputs"]))[-1]
                shapes = refiner(heatmaps).cpu().numpy() * head.decoder.scale_factor
            found = head.decode(heatmaps)
            faces = [sample.gt_instances for sample in data["data_samples"]]
            truth = np.concatenate([f.transformed_keypoints[..., :2] for f in faces])
            labelled = np.concatenate([f.keypoints_visible for f in faces]) > 0
            never = np.zeros((1, truth.shape[1]), bool)
            parts.append(
                (
                    np.where(labelled[..., None], truth, np.nan),
                    np.concatenate([f.get("keypoints_occluded", never) for f in faces]),
                    np.concatenate([f.keypoints for f in found]),
                    np.concatenate([f.keypoint_scores for f in found]),
                    shapes,
                )
            )
    finally:
        head.refiner = refiner
    return Predictions(*(np.concatenate(part) for part in zip(*parts)))


def print_curve(curve):
    print("\nfactor  corrected, clean  degraded   NME %, clean  degraded")
    for row in curve:
        print(
            "{factor:6.3f}  {corrected_clean:16.1%}  {corrected_degraded:8.1%}".format(
                **row
            ),
            "  {:12.3f}  {:8.3f}".format(100 * row["clean"], 100 * row["degraded"]),
            "  <- chosen" if row["chosen"] else "",
        )


def main(argv=None):
    args = parse_args(argv)
    config = open_config(args)
    model = open_pose_model(config, args.checkpoint, args.device)
    refiner = getattr(model.head, "refiner", None)
    if refiner is None:
        raise SystemExit(f"{args.config}: model.head has no refiner")
    if refiner.mode == "replace":
        raise SystemExit(
            f"{args.config}: model.head.refiner.mode is 'replace', which no threshold "
            "changes; choose one for 'threshold' or 'blend'"
        )
    np.random.seed(args.seed)
    clean, degraded = (
        predict(model, training_faces(config, degrade, args.seed), args.batch_size)
        for degrade in (False, True)
    )
    threshold, curve = choose_threshold(
        clean.measured(refiner.neighbourhood),
        degraded.measured(refiner.neighbourhood),
        refiner.mode,
        args.tolerance,
    )
    print_curve(curve)

    checkpoint = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    state = checkpoint["state_dict"]
    state["head.refiner.threshold"] = torch.as_tensor(threshold, dtype=torch.float32)
    checkpoint.setdefault("meta", {})["ghcu_threshold"] = dict(
        threshold=threshold.tolist(),
        mode=refiner.mode,
        curve=curve,
        tolerance=args.tolerance,
    )
    default = Path(args.checkpoint).with_suffix("")
    out = Path(args.out or f"{default}_threshold.pth")
    if out.exists() and os.path.samefile(out, args.checkpoint):
        raise SystemExit(f"--out {out} is the checkpoint itself; name another file")
    with atomic_write(out, "wb") as file:
        torch.save(checkpoint, file)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
