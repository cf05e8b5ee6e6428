"""Show what semantic alignment did to the annotations of a training run.

Reads the latent targets from a checkpoint and writes, into --out-dir:

- ``summary.json`` and a printed table: how far targets moved in each face
  region; where the data set knows the truth (procedural faces), the RMS error
  of annotations and of targets against it;
- ``moves.csv``: every sample and landmark, annotation, target and move;
- ``faces.png``: faces with annotation, latent target and prediction, those
  whose targets moved farthest on average beside evenly chosen ones;
- ``moves.png``: how far targets moved, landmark by landmark.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import json
from pathlib import Path

import cv2
import numpy as np

from semamb_mm import cli
from semamb_mm.audit.moves import (
    MOVE_COLUMNS,
    mean_shape,
    move_rows,
    moves_table,
    summarise_moves,
)
from semamb_mm.faces.sizes import face_unit, percent_unit
from semamb_mm.formats.files import atomic_path, atomic_write
from semamb_mm.formats.tables import write_csv
from semamb_mm.pictures.contact_sheets import contact_sheet
from semamb_mm.pictures.moves import plot_moves
from semamb_mm.pictures.targets import draw_targets
from semamb_mm.pose.inference import predict, read_image
from semamb_mm.pose.latent_targets import (
    keyed_annotations,
    landmarks_of,
    located_samples,
)


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/latent_targets")
    parser.add_argument("--num-faces", type=int, default=8, help="faces in faces.png")
    return parser.parse_args(argv)


def main(argv=None):
    """Read the targets, and write figures and pictures of them."""
    args = parse_args(argv)
    config = cli.open_config(args)
    store = cli.open_latent_targets(args.checkpoint)
    if store is None:
        raise SystemExit(
            f"{args.checkpoint} holds no latent targets: it was not trained with "
            "LatentTargetHook"
        )
    dataset = cli.training_set(config, config.val_dataloader.dataset.pipeline)
    samples = located_samples(dataset)
    keys, infos = zip(*keyed_annotations(samples))
    rows = cli.rows_of(store, keys, args.checkpoint)
    given = [landmarks_of(info, key) for key, info in zip(keys, infos)]
    annotations, visible = (np.stack(part) for part in zip(*given))
    targets = store.targets[rows].numpy()
    truth = None
    if all(hasattr(leaf, "true_keypoints") for leaf, _ in samples):
        truth = np.stack([leaf.true_keypoints(i) for leaf, i in samples])

    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    summary = summarise_moves(annotations, targets, visible, truth)
    print(moves_table(summary, annotations.shape[1]))
    with atomic_write(out_dir / "summary.json") as file:
        file.write(json.dumps(summary, indent=2) + "\n")
    energies = store.energies[rows].float().numpy()
    moved = move_rows(keys, annotations, targets, energies, visible)
    write_csv(out_dir / "moves.csv", MOVE_COLUMNS, moved)
    unit = face_unit(annotations, visible)
    moves = 100 * (targets - annotations) / unit[:, None, None]
    moves[~visible] = np.nan
    plot_moves(
        moves,
        out_dir / "moves.png",
        percent_unit(annotations.shape[1]),
        mean_shape=mean_shape(np.where(visible[..., None], annotations, np.nan)),
    )

    move = mean_moves(annotations, targets, unit)
    chosen = choose_faces(move, args.num_faces)
    model = cli.open_pose_model(config, args.checkpoint, args.device)
    predictions, _, _ = predict(model, [samples[i] for i in chosen], batch_size=1)
    faces = [
        draw_targets(
            read_image(*samples[i]),
            annotations[i],
            targets[i],
            prediction=prediction,
            truth=None if truth is None else truth[i],
        )
        for i, prediction in zip(chosen, predictions)
    ]
    titles = [f"{keys[i]}  mean move {100 * move[i]:.1f}%" for i in chosen]
    sheet = contact_sheet(faces, columns=min(4, len(faces)), titles=titles)
    with atomic_path(out_dir / "faces.png") as path:
        cv2.imwrite(str(path), sheet)
    for name in ("faces.png", "moves.png", "moves.csv", "summary.json"):
        print(f"wrote {out_dir / name}")


def mean_moves(annotations, targets, unit):
    """Return ``(N,)``: how far a face's targets moved on average, over its unit."""
    moves = np.linalg.norm(targets - annotations, axis=-1).mean(1)
    return moves / unit


def choose_faces(move, count):
    """Return the faces whose targets moved farthest, and evenly chosen ones."""
    half = max(1, count // 2)
    even = np.linspace(0, len(move) - 1, count - half).astype(int)
    return [*np.argsort(-move)[:half].tolist(), *even.tolist()]


if __name__ == "__main__":
    main()
