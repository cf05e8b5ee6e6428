"""Show what semantic alignment did to the annotations of a training run.

Reads the latent targets from a checkpoint and writes, into --out-dir:

- ``summary.json`` and a printed table: how far targets moved in each face
  region; where the data set knows the truth (procedural faces), the RMS error
  of annotations and of targets against it;
- ``moves.csv``: every sample and landmark, annotation, target and move;
- ``faces.png``: faces with annotation, latent target and prediction: --pick says
  which;
- ``moves.png``: how far targets moved, landmark by landmark, and in which direction;
- ``targets.gif``, with --animate: one face's targets, from the annotation on, in every
  checkpoint that the run has kept beside CHECKPOINT.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import json
import re
from pathlib import Path
from typing import NamedTuple

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
from semamb_mm.pictures.animations import write_gif
from semamb_mm.pictures.moves import plot_moves
from semamb_mm.pictures.targets import draw_targets, targets_sheet
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
    parser.add_argument(
        "--pick",
        choices=("moved", "even", "both"),
        default="both",
        help="whose targets moved farthest on average, evenly chosen ones, or half of "
        "each (default: %(default)s)",
    )
    parser.add_argument(
        "--animate",
        nargs="?",
        const="",
        metavar="SAMPLE",
        help="write targets.gif of this sample; without a name, of the one whose "
        "targets moved farthest",
    )
    return parser.parse_args(argv)


class Samples(NamedTuple):
    """The samples of a training and what the search made of their annotations.

    Attributes:
        located: ``N`` pairs of data set and index.
        keys: ``N``.
        annotations: ``(N, K, 2)`` image pixels.
        visible: ``(N, K)`` bool.
        targets: ``(N, K, 2)`` image pixels.
        truth: ``(N, K, 2)`` image pixels; None where it is not known.
    """

    located: list
    keys: tuple
    annotations: np.ndarray
    visible: np.ndarray
    targets: np.ndarray
    truth: np.ndarray | None


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
    samples, energies = read_samples(config, store, args.checkpoint)
    unit = face_unit(samples.annotations, samples.visible)
    move = mean_moves(samples.annotations, samples.targets, unit)
    animated = None
    if args.animate is not None:
        animated = animated_sample(args.animate, samples.keys, move)

    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = write_figures(samples, energies, unit, out_dir)
    model = cli.open_pose_model(config, args.checkpoint, args.device)
    chosen = choose_faces(move, args.num_faces, args.pick)
    sheet = draw_faces(samples, chosen, move, model)
    with atomic_path(out_dir / "faces.png") as path:
        cv2.imwrite(str(path), sheet)
    written.append("faces.png")
    if animated is not None:
        frames = draw_epochs(samples, animated, args.checkpoint)
        write_gif(out_dir / "targets.gif", frames)
        written.append("targets.gif")
    for name in written:
        print(f"wrote {out_dir / name}")


def read_samples(config, store, checkpoint):
    """Return the training's :class:`Samples`, and energies ``(N, K)`` of the search."""
    dataset = cli.training_set(config, config.val_dataloader.dataset.pipeline)
    located = located_samples(dataset)
    keys, infos = zip(*keyed_annotations(located))
    rows = cli.rows_of(store, keys, checkpoint)
    given = [landmarks_of(info, key) for key, info in zip(keys, infos)]
    annotations, visible = (np.stack(part) for part in zip(*given))
    truth = None
    if all(hasattr(leaf, "true_keypoints") for leaf, _ in located):
        truth = np.stack([leaf.true_keypoints(i) for leaf, i in located])
    targets = store.targets[rows].numpy()
    samples = Samples(located, keys, annotations, visible, targets, truth)
    return samples, store.energies[rows].float().numpy()


def write_figures(samples, energies, unit, out_dir):
    """Write tables and the plot of all moves; return the files' names."""
    _, _, annotations, visible, targets, _ = samples
    summary = summarise_moves(annotations, targets, visible, samples.truth)
    print(moves_table(summary, annotations.shape[1]))
    with atomic_write(out_dir / "summary.json") as file:
        file.write(json.dumps(summary, indent=2) + "\n")
    moved = move_rows(samples.keys, annotations, targets, energies, visible)
    write_csv(out_dir / "moves.csv", MOVE_COLUMNS, moved)
    moves = 100 * (targets - annotations) / unit[:, None, None]
    moves[~visible] = np.nan
    plot_moves(
        moves,
        out_dir / "moves.png",
        percent_unit(annotations.shape[1]),
        mean_shape=mean_shape(np.where(visible[..., None], annotations, np.nan)),
    )
    return ["summary.json", "moves.csv", "moves.png"]


def draw_faces(samples, chosen, move, model):
    """Return a sheet of the chosen faces."""
    located = [samples.located[i] for i in chosen]
    predictions, _, _ = predict(model, located, batch_size=1)
    truth = samples.truth
    faces = [
        draw_targets(
            read_image(*samples.located[i]),
            samples.annotations[i],
            samples.targets[i],
            prediction=prediction,
            truth=None if truth is None else truth[i],
        )
        for i, prediction in zip(chosen, predictions)
    ]
    unit = percent_unit(samples.annotations.shape[1])
    titles = [f"{samples.keys[i]}: moved {100 * move[i]:.1f} {unit}" for i in chosen]
    layers = ["annotation", "latent", "prediction"] + ["truth"] * (truth is not None)
    # Two in a row can be read at the width of a page.
    return targets_sheet(faces, layers, min(2, len(faces)), titles)


def animated_sample(key, keys, move):
    """Return the row of a sample; without a key, of the one that moved farthest."""
    if key and key not in keys:
        raise SystemExit(
            f"--animate {key}: no such training sample; they are called {keys[0]!r} "
            "and so on, as in moves.csv"
        )
    return keys.index(key) if key else int(np.argmax(move))


def draw_epochs(samples, row, checkpoint):
    """Return a sample's targets in each checkpoint of a run, one picture each."""
    image = read_image(*samples.located[row])
    annotation, key = samples.annotations[row], samples.keys[row]
    truth = None if samples.truth is None else samples.truth[row]
    layers = ["annotation", "latent"] + ["truth"] * (truth is not None)
    steps = [("annotation", annotation)]
    for name, path in kept_checkpoints(checkpoint):
        store = cli.open_latent_targets(path)
        if store is not None:
            (found,) = cli.rows_of(store, [key], path)
            steps.append((name, store.targets[found].numpy()))
    faces = [(draw_targets(image, annotation, t, truth=truth), n) for n, t in steps]
    return [targets_sheet([face], layers, 1, [f"{key}: {n}"]) for face, n in faces]


def kept_checkpoints(checkpoint):
    """Return name and path of a run's checkpoints up to this one, in order."""
    checkpoint = Path(checkpoint)
    number = re.compile(r"(epoch|iter)_(\d+)\.pth")
    last = number.fullmatch(checkpoint.name)
    if last is None:
        return [(checkpoint.stem, checkpoint)]
    beside = [
        (number.fullmatch(path.name), path) for path in checkpoint.parent.iterdir()
    ]
    of_run = [(int(n[2]), path) for n, path in beside if n and n[1] == last[1]]
    return [(f"{last[1]} {n}", path) for n, path in sorted(of_run) if n <= int(last[2])]


def mean_moves(annotations, targets, unit):
    """Return ``(N,)``: how far a face's targets moved on average, over its unit."""
    moves = np.linalg.norm(targets - annotations, axis=-1).mean(1)
    return moves / unit


def choose_faces(move, count, pick="both"):
    """Return rows of the faces that moved farthest, of evenly chosen ones, or both."""
    far = dict(moved=count, even=0, both=max(1, count // 2))[pick]
    even = np.linspace(0, len(move) - 1, count - far).astype(int)
    return [*np.argsort(-move)[:far].tolist(), *even.tolist()]


if __name__ == "__main__":
    main()
