"""Audit a data set's landmark annotations with a model trained on them.

Ranks landmarks and samples by how far, and how confidently, the model's view left
the annotation, in units of what is usual for that landmark (see
semamb_mm/audit/scores.py), and writes into --out-dir:

- ``landmarks.csv``: every sample and landmark, worst first;
- ``samples.csv``: every sample, worst first;
- ``audit.html``: one page, no other files needed: which landmarks are ambiguous and
  in which direction, and the worst samples in pictures;
- ``relabelled/``: the annotations with the suspects replaced by the model's
  prediction, in the data set's own format (a tree of .pts files with links to the
  images, or a COCO json). The original is not touched.

Works on any top-down MMPose config and checkpoint; latent targets are shown and used
if the checkpoint has them.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

from pathlib import Path

import numpy as np

from semamb_mm import cli
from semamb_mm.audit import THRESHOLD, decide
from semamb_mm.audit.relabel import relabel_samples
from semamb_mm.audit.report import write_landmarks, write_page, write_samples
from semamb_mm.audit.scores import check_number
from semamb_mm.pose.inference import predict, read_image
from semamb_mm.pose.latent_targets.samples import keyed_annotations, located_samples


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/audit")
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        help="score from which on a landmark is a suspect (default: %(default)g)",
    )
    parser.add_argument(
        "--relabel",
        choices=("suspects", "all"),
        default="suspects",
        help="all: the others get their latent target, if there is one",
    )
    parser.add_argument("--num-faces", type=int, default=40, help="pictures")
    cli.add_batch_size(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Predict, decide, and write tables, labels and the page."""
    args = parse_args(argv)
    config = cli.open_config(args)
    dataset = cli.training_set(config, config.val_dataloader.dataset.pipeline)
    samples = located_samples(dataset)
    out_dir = Path(args.out_dir)
    cli.refuse_inside("--out-dir", out_dir, samples)
    try:
        check_number(len(samples))
    except ValueError as error:
        raise SystemExit(str(error)) from error
    model = cli.open_pose_model(config, args.checkpoint, args.device)

    keys, infos = zip(*keyed_annotations(samples))
    annotations = np.stack([visible_keypoints(info) for info in infos])
    predictions, confidences, inside = predict(model, samples, args.batch_size)
    audit = decide(
        keys,
        annotations,
        predictions,
        confidences,
        targets=latent_targets(args.checkpoint, keys, annotations),
        inside=inside,
        threshold=args.threshold,
        adopt_targets=args.relabel == "all",
    )

    out_dir.mkdir(parents=True, exist_ok=True)
    write_landmarks(out_dir / "landmarks.csv", audit)
    write_samples(out_dir / "samples.csv", audit)
    relabel_samples(infos, samples, audit.labels, out_dir / "relabelled")
    write_page(
        out_dir / "audit.html",
        audit,
        lambda i: read_image(*samples[i]),
        name=Path(args.config).stem,
        checkpoint=args.checkpoint,
        num_faces=args.num_faces,
    )
    suspects = audit.suspects
    print(
        f"\n{suspects.sum()} of {np.isfinite(annotations).all(-1).sum()} annotated "
        f"landmarks are suspects (score {args.threshold:g} or more), on "
        f"{suspects.any(1).sum()} of {len(keys)} samples.\nwrote landmarks.csv, "
        f"samples.csv, audit.html and relabelled/ into {out_dir}"
    )


def visible_keypoints(info):
    """Return ``(K, 2)`` annotated landmarks in image pixels, NaN where not visible."""
    visible = np.ravel(info["keypoints_visible"][0]) > 0
    keypoints = info["keypoints"][0, :, :2]
    return np.where(visible[:, None], keypoints, np.nan).astype(np.float64)


def latent_targets(checkpoint, keys, annotations):
    """Return ``(N, K, 2)``, NaN where not annotated; None of a plain checkpoint."""
    store = cli.open_latent_targets(checkpoint)
    if store is None:
        return None
    rows = cli.rows_of(store, keys, checkpoint)
    targets = store.targets[rows].double().numpy()
    return np.where(np.isfinite(annotations), targets, np.nan)


if __name__ == "__main__":
    main()
