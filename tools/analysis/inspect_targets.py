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

import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate

from semamb_mm.cli import (
    model_parser,
    open_config,
    open_latent_targets,
    open_pose_model,
    training_set,
)
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import PERCENT_UNIT, face_unit
from semamb_mm.pictures.targets import contact_sheet, draw_targets, plot_moves
from semamb_mm.pose.latent_targets.keys import sample_key


def parse_args(argv=None):
    parser = model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/latent_targets")
    parser.add_argument("--num-faces", type=int, default=8, help="faces in faces.png")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    config = open_config(args)
    store = open_latent_targets(args.checkpoint)
    if store is None:
        raise SystemExit(
            f"{args.checkpoint} holds no latent targets: it was not trained with "
            "LatentTargetHook"
        )
    dataset = training_set(config, config.val_dataloader.dataset.pipeline)
    dataset.full_init()
    rows = [
        store.index[sample_key(BaseDataset.get_data_info(dataset, i), dataset)]
        for i in range(len(dataset))
    ]
    annotations = store.annotations[rows].numpy()
    targets = store.targets[rows].numpy()
    unit = face_unit(annotations)
    truth = None
    if hasattr(dataset, "true_keypoints"):
        truth = np.stack([dataset.true_keypoints(i) for i in range(len(dataset))])

    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    summary = summarise(annotations, targets, store.visible[rows].numpy(), unit, truth)
    print(as_table(summary, truth is not None))
    write_text(out_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
    write_moves(out_dir / "moves.csv", store, rows, unit)
    moves = (targets - annotations) / unit[:, None, None] * 100
    moves[~store.visible[rows].numpy()] = np.nan
    plot_moves(
        moves,
        out_dir / "moves.png",
        PERCENT_UNIT,
        mean_shape=mean_face(annotations),
    )

    move = np.linalg.norm(targets - annotations, axis=-1).mean(1) / unit
    half = max(1, args.num_faces // 2)
    farthest = np.argsort(-move)[:half]
    even = np.linspace(0, len(dataset) - 1, args.num_faces - half).astype(int)
    chosen = [*farthest.tolist(), *even.tolist()]
    model = open_pose_model(config, args.checkpoint, args.device)
    faces, titles = [], []
    for i in chosen:
        packed = dataset[i]
        with torch.no_grad():
            result = model.test_step(pseudo_collate([packed]))[0]
        image = packed_image(dataset, i)
        faces.append(
            draw_targets(
                image,
                annotations[i],
                targets[i],
                prediction=result.pred_instances.keypoints[0],
                truth=None if truth is None else truth[i],
            )
        )
        titles.append(f"{store.keys[rows[i]]}  mean move {100 * move[i]:.1f}%")
    sheet = contact_sheet(faces, columns=min(4, len(faces)), titles=titles)
    temporary = out_dir / ".unfinished-faces.png"
    cv2.imwrite(str(temporary), sheet)
    os.replace(temporary, out_dir / "faces.png")
    for name in ("faces.png", "moves.png", "moves.csv", "summary.json"):
        print(f"wrote {out_dir / name}")


def summarise(annotations, targets, visible, unit, truth):
    """Percent of the unit, for each group of landmarks."""
    moves = np.linalg.norm(targets - annotations, axis=-1) / unit[:, None] * 100

    def rms(points, mask):
        error = np.linalg.norm(points - truth, axis=-1) / unit[:, None] * 100
        return float(np.sqrt(np.mean(error[mask] ** 2)))

    summary = {}
    for name, group in landmark_groups(annotations.shape[1]).items():
        mask = np.zeros(visible.shape, bool)
        mask[:, group] = visible[:, group]
        if not mask.any():
            continue
        summary[name] = dict(
            mean_move=float(moves[mask].mean()),
            median_move=float(np.median(moves[mask])),
            p90_move=float(np.percentile(moves[mask], 90)),
        )
        if truth is not None:
            summary[name].update(
                annotation_rms=rms(annotations, mask), target_rms=rms(targets, mask)
            )
    return summary


def as_table(summary, with_truth):
    columns = ["mean_move", "median_move", "p90_move"]
    columns += ["annotation_rms", "target_rms"] * with_truth
    lines = ["Percent of the inter-ocular distance (outer eye corners)"]
    lines.append(f"{'landmarks':<12}" + "".join(f"{c:>16}" for c in columns))
    for name, values in summary.items():
        cells = "".join(f"{values[c]:>16.2f}" for c in columns)
        lines.append(f"{name:<12}{cells}")
    if with_truth:
        lines.append(
            "annotation_rms, target_rms: error of the annotations and of the latent "
            "targets against the true landmarks"
        )
    return "\n".join(lines)


def mean_face(keypoints):
    """(K, 2) mean shape in percent of the unit, the face's middle at 0."""
    centred = keypoints - keypoints.mean(1, keepdims=True)
    return (centred / face_unit(keypoints)[:, None, None]).mean(0) * 100


def write_moves(path, store, rows, unit):
    temporary = path.with_name(f".{path.name}")
    with open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["sample", "landmark", "annotation_x", "annotation_y"]
            + ["target_x", "target_y", "move_px", "move_percent", "energy"]
        )
        for row, size in zip(rows, unit):
            for k in range(store.num_keypoints):
                old, new = store.annotations[row, k], store.targets[row, k]
                move = float((new - old).norm())
                writer.writerow(
                    [store.keys[row], k]
                    + [f"{v:.3f}" for v in (*old.tolist(), *new.tolist(), move)]
                    + [f"{100 * move / size:.3f}", f"{store.energies[row, k]:.4f}"]
                )
    os.replace(temporary, path)


def write_text(path, text):
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    os.replace(temporary, path)


def packed_image(dataset, index):
    info = dataset.get_data_info(index)
    image = info.get("img")
    return cv2.imread(str(info["img_path"])) if image is None else image


if __name__ == "__main__":
    main()
