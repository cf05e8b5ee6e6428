"""Choose the confidence below which a GHCU's positions replace the detector's.

Runs the detector and its refiner over the training faces twice, as they are and
with the degradation that the config trains with, prints the error for each
threshold, and writes a copy of the checkpoint with the best one: that of least
error on degraded faces among those that raise the error on clean faces by no more
than --tolerance. Thresholds are per landmark, one factor times its usual confidence.

tools/test.py and MMPose's inference use what the new checkpoint holds; its meta
carries the curve.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import os
from pathlib import Path

import numpy as np
import torch

from semamb_mm.cli import (
    add_batch_size,
    model_parser,
    open_config,
    open_pose_model,
    training_set,
)
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.refiners.measure import measuring_pipeline, predict
from semamb_mm.pose.refiners.threshold import choose_threshold


def parse_args(argv=None):
    """Return the command line's options."""
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
    add_batch_size(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Measure, choose, and write a copy of the checkpoint."""
    args = parse_args(argv)
    config = open_config(args)
    model = open_pose_model(config, args.checkpoint, args.device)
    refiner = refiner_of(model, args.config)
    try:
        pipelines = [
            measuring_pipeline(config, degrade, args.seed) for degrade in (False, True)
        ]
    except ValueError as error:
        raise SystemExit(str(error)) from error
    faces = [training_set(config, pipeline, test_mode=True) for pipeline in pipelines]
    np.random.seed(args.seed)
    clean, degraded = (predict(model, dataset, args.batch_size) for dataset in faces)
    threshold, curve = choose_threshold(
        clean.measured(refiner.neighbourhood),
        degraded.measured(refiner.neighbourhood),
        refiner.mode,
        args.tolerance,
    )
    print_curve(curve)
    chosen = dict(
        threshold=threshold.tolist(),
        mode=refiner.mode,
        curve=curve,
        tolerance=args.tolerance,
    )
    default = Path(args.checkpoint).with_suffix("")
    out = Path(args.out or f"{default}_threshold.pth")
    write_checkpoint(args.checkpoint, out, chosen)
    print(f"wrote {out}")


def refiner_of(model, config):
    """Return the model's refiner, if a threshold changes what it does."""
    refiner = getattr(model.head, "refiner", None)
    if refiner is None:
        raise SystemExit(f"{config}: model.head has no refiner")
    if refiner.mode == "replace":
        raise SystemExit(
            f"{config}: model.head.refiner.mode is 'replace', which no threshold "
            "changes; choose one for 'threshold' or 'blend'"
        )
    return refiner


def print_curve(curve):
    """Print a line for each threshold that was tried."""
    print("\nfactor  corrected, clean  degraded   NME %, clean  degraded")
    for row in curve:
        print(
            "{factor:6.3f}  {corrected_clean:16.1%}  {corrected_degraded:8.1%}".format(
                **row
            ),
            "  {:12.3f}  {:8.3f}".format(100 * row["clean"], 100 * row["degraded"]),
            "  <- chosen" if row["chosen"] else "",
        )


def write_checkpoint(path, out, chosen):
    """Write a copy of the checkpoint with the threshold, in weights and meta."""
    if out.exists() and os.path.samefile(out, path):
        raise SystemExit(f"--out {out} is the checkpoint itself; name another file")
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    threshold = torch.tensor(chosen["threshold"], dtype=torch.float32)
    checkpoint["state_dict"]["head.refiner.threshold"] = threshold
    checkpoint.setdefault("meta", {})["ghcu_threshold"] = chosen
    with atomic_write(out, "wb") as file:
        torch.save(checkpoint, file)


if __name__ == "__main__":
    main()
