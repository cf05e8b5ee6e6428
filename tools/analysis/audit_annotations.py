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

import base64
import csv
import html
import json
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from mmengine import fileio
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.utils import track_iter_progress

from semamb_mm.audit.scores import THRESHOLD, suspicion
from semamb_mm.cli import (
    model_parser,
    open_config,
    open_latent_targets,
    open_pose_model,
    training_set,
)
from semamb_mm.faces.sizes import PERCENT_UNIT, face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import write_pts
from semamb_mm.pictures.targets import draw_targets, plot_moves
from semamb_mm.pose.latent_targets.keys import sample_key
from semamb_mm.pose.latent_targets.samples import located_samples


def parse_args(argv=None):
    parser = model_parser(__doc__)
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
    parser.add_argument("--batch-size", type=int, default=32)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    config = open_config(args)
    dataset = training_set(config, config.val_dataloader.dataset.pipeline)
    out_dir = Path(args.out_dir)
    refuse_inside(out_dir, dataset)
    model = open_pose_model(config, args.checkpoint, args.device)

    samples = located_samples(dataset)
    infos = [BaseDataset.get_data_info(leaf, i) for leaf, i in samples]
    keys = [sample_key(info, leaf) for info, (leaf, _) in zip(infos, samples)]
    annotations = np.stack([info["keypoints"][0, :, :2] for info in infos])
    visible = np.stack([np.ravel(info["keypoints_visible"][0]) > 0 for info in infos])
    annotations = np.where(visible[..., None], annotations, np.nan).astype(np.float64)
    predictions, confidences, inside = predict(model, samples, args.batch_size)
    scores = suspicion(annotations, predictions, confidences)
    suspects = scores >= args.threshold

    targets = annotations.copy()
    store = open_latent_targets(args.checkpoint)
    if store is not None:
        unknown = [key for key in keys if key not in store.index]
        if unknown:
            raise SystemExit(
                f"{args.checkpoint} has no latent targets for {unknown[0]!r}: it was "
                "trained on other data"
            )
        latent = store.targets[[store.index[key] for key in keys]].double().numpy()
        targets = np.where(visible[..., None], latent, np.nan)
    labels = targets if args.relabel == "all" else annotations
    labels = np.where((suspects & inside)[..., None], predictions, labels)

    out_dir.mkdir(parents=True, exist_ok=True)
    order = rank(scores, suspects)
    write_landmarks(
        out_dir / "landmarks.csv",
        keys, annotations, predictions, targets, confidences, scores, suspects,
    )  # fmt: skip
    write_samples(out_dir / "samples.csv", keys, scores, suspects, order)
    written = relabel(dataset, infos, samples, labels, out_dir / "relabelled")
    page(out_dir / "audit.html", args, keys, samples, order, annotations, labels,
         predictions, targets, scores, suspects)  # fmt: skip
    found = int(suspects.sum())
    print(
        f"\n{found} of {int(visible.sum())} annotated landmarks are suspects (score "
        f"{args.threshold:g} or more), on {int(suspects.any(1).sum())} of {len(keys)} "
        f"samples.\nwrote landmarks.csv, samples.csv, audit.html and {written} into "
        f"{out_dir}"
    )


def refuse_inside(out_dir, dataset):
    """Stop before anything is written into the data's own folder."""
    for leaf in {id(leaf): leaf for leaf, _ in located_samples(dataset)}.values():
        root = getattr(leaf, "data_root", None)
        if root and out_dir.resolve().is_relative_to(Path(root).resolve()):
            raise SystemExit(
                f"--out-dir {out_dir} lies inside the data root {root}: name a folder "
                "elsewhere, the data is never touched"
            )


def predict(model, samples, batch_size):
    """Keypoints (N, K, 2) in image pixels, their scores (N, K), which lie inside."""
    keypoints, scores, inside = [], [], []
    starts = range(0, len(samples), batch_size)
    for start in track_iter_progress(list(starts)):
        batch = [leaf[i] for leaf, i in samples[start : start + batch_size]]
        with torch.no_grad():
            for result in model.test_step(pseudo_collate(batch)):
                points = result.pred_instances.keypoints[0].astype(np.float64)
                height, width = result.ori_shape
                keypoints.append(points)
                scores.append(result.pred_instances.keypoint_scores[0])
                inside.append(((points >= 0) & (points < (width, height))).all(-1))
    return np.stack(keypoints), np.stack(scores), np.stack(inside)


def rank(scores, suspects):
    """Samples, worst first: by suspects, then by their worst landmark."""
    worst = np.nan_to_num(scores, nan=-1).max(1)
    return np.lexsort((-worst, -suspects.sum(1)))


def write_landmarks(path, keys, annotations, predictions, targets, confidences,
                    scores, suspects):  # fmt: skip
    percent = 100 / face_unit(np.nan_to_num(annotations))
    with atomic_write(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["sample", "landmark", "score", "suspect", "confidence", "distance_percent"]
            + [
                f"{n}_{axis}"
                for n in ("annotation", "prediction", "target")
                for axis in "xy"
            ]
        )
        for flat in np.argsort(-np.nan_to_num(scores, nan=-1), axis=None):
            i, k = np.unravel_index(flat, scores.shape)
            if np.isnan(scores[i, k]):
                continue
            distance = (
                np.linalg.norm(predictions[i, k] - annotations[i, k]) * percent[i]
            )
            row = [keys[i], k, f"{scores[i, k]:.3f}", int(suspects[i, k])]
            row += [f"{confidences[i, k]:.3f}", f"{distance:.2f}"]
            points = (annotations[i, k], predictions[i, k], targets[i, k])
            writer.writerow(row + [f"{v:.2f}" for point in points for v in point])


def write_samples(path, keys, scores, suspects, order):
    with atomic_write(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "suspects", "worst_score", "landmarks"])
        for i in order:
            landmarks = " ".join(map(str, np.flatnonzero(suspects[i])))
            worst = np.nan_to_num(scores[i], nan=0).max()
            writer.writerow([keys[i], suspects[i].sum(), f"{worst:.3f}", landmarks])


def relabel(dataset, infos, samples, labels, folder):
    """The annotations with new positions, in their own format; says what it wrote."""
    leaves = list({id(leaf): leaf for leaf, _ in samples}.values())
    for number, leaf in enumerate(leaves):
        mine = [j for j, (other, _) in enumerate(samples) if other is leaf]
        part = folder if len(leaves) == 1 else folder / str(number)
        annotations = leaf.ann_file if isinstance(leaf.ann_file, str) else ""
        if annotations.endswith(".json"):
            relabel_coco(annotations, [infos[j] for j in mine], labels[mine], part)
        else:
            for j in mine:
                relabel_pts(leaf, infos[j], labels[j], part)
            for name in (leaf.ann_file,) if annotations else leaf.ann_file or ():
                copy = part / Path(name).name
                copy.write_bytes(Path(name).read_bytes())
    return folder.name + "/"


def relabel_pts(leaf, info, keypoints, folder):
    """One .pts file at its place below the folder, its image linked beside it.

    Landmarks that are not visible (NaN here) keep the position their file has.
    """
    keypoints = np.where(np.isfinite(keypoints), keypoints, info["keypoints"][0, :, :2])
    image = Path(info["img_path"])
    if "://" in str(info["img_path"]):  # drawn, not read
        write_pts(folder / f"{info['sample_key'].replace('/', '_')}.pts", keypoints)
        return
    copy = folder / image.relative_to(leaf.data_root or ".")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    copy.symlink_to(image.resolve())
    origin = getattr(leaf, "origin", 0)
    write_pts(copy.with_suffix(".pts"), keypoints, origin=origin)


def relabel_coco(ann_file, infos, labels, folder):
    content = json.loads(Path(ann_file).read_text())
    new = {info["id"]: points for info, points in zip(infos, labels)}
    for annotation in content["annotations"]:
        points = new.get(annotation["id"])
        if points is None:
            continue
        triplets = np.asarray(annotation["keypoints"], np.float64).reshape(-1, 3)
        known = np.isfinite(points).all(1)
        triplets[known, :2] = points[known].round(3)
        annotation["keypoints"] = triplets.ravel().tolist()
    with atomic_write(folder / Path(ann_file).name) as file:
        json.dump(content, file)


def page(path, args, keys, samples, order, annotations, labels, predictions, targets,
         scores, suspects):  # fmt: skip
    """One html file with everything in it."""
    unit = face_unit(np.nan_to_num(annotations))
    shown = targets if np.nanmax(np.abs(targets - annotations)) > 0 else predictions
    what = "latent target" if shown is targets else "prediction"
    plot = path.with_name(".unfinished-ambiguity.png")
    centred = annotations - np.nanmean(annotations, 1, keepdims=True)
    plot_moves(
        np.where(
            suspects[..., None],
            np.nan,
            100 * (shown - annotations) / unit[:, None, None],
        ),
        plot,
        PERCENT_UNIT,
        mean_shape=100 * np.nanmean(centred / unit[:, None, None], 0),
    )
    ambiguity = embedded(plot.read_bytes(), "png")
    plot.unlink()
    rows, pictures = [], []
    for i in order[: args.num_faces]:
        if not suspects[i].any():
            break
        landmarks = np.flatnonzero(suspects[i])
        landmarks = landmarks[np.argsort(-scores[i, landmarks])]
        text = ", ".join(f"{k} ({scores[i, k]:.1f})" for k in landmarks[:12])
        text += ", ..." if len(landmarks) > 12 else ""
        leaf, index = samples[i]
        try:
            image = read_image(leaf, index)
            face = draw_targets(
                image, annotations[i], labels[i], predictions[i], size=360
            )
            _, encoded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 85])
            picture = f'<img src="{embedded(encoded.tobytes(), "jpeg")}" alt="">'
        except (OSError, ValueError, cv2.error) as error:
            picture = f"<p>no picture: {html.escape(str(error))}</p>"
        pictures.append(
            f"<figure>{picture}<figcaption><b>{html.escape(keys[i])}</b><br>"
            f"suspects (score): {text}</figcaption></figure>"
        )
    counts = suspects.sum(0)
    for k in np.argsort(-counts)[:20]:
        if counts[k]:
            rows.append(f"<tr><td>{k}</td><td>{counts[k]}</td></tr>")
    with atomic_write(path) as file:
        file.write(
            PAGE.format(
                title=f"Annotation audit: {html.escape(Path(args.config).stem)}",
                checkpoint=html.escape(str(args.checkpoint)),
                samples=len(keys),
                bad_samples=int(suspects.any(1).sum()),
                suspects=int(suspects.sum()),
                threshold=args.threshold,
                what=what,
                ambiguity=ambiguity,
                rows="".join(rows),
                pictures="".join(pictures) or "<p>No suspects.</p>",
            )
        )


def embedded(data, kind):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def read_image(leaf, index):
    info = leaf.get_data_info(index)
    image = info.get("img")
    if image is None:
        image = mmcv.imfrombytes(fileio.get(info["img_path"]))
    if image is None:
        raise OSError(f"{info['img_path']} cannot be read")
    return image


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; max-width: 1200px; margin: 2em auto; color: #222 }}
figure {{ display: inline-block; width: 370px; margin: 6px; vertical-align: top }}
figcaption {{ font-size: 12px; overflow-wrap: anywhere }}
img {{ max-width: 100% }} td, th {{ padding: 2px 12px; text-align: right }}
</style></head><body>
<h1>{title}</h1>
<p>{suspects} suspects (score {threshold:g} or more) on {bad_samples} of {samples}
samples; checkpoint {checkpoint}. A score is the distance between annotation and
prediction in units of what is usual for that landmark, less where the heatmap is
faint. Every landmark is in landmarks.csv.</p>
<h2>Which landmarks are ambiguous, and in which direction</h2>
<p>{what} minus annotation over all samples, suspects left out.</p>
<img src="{ambiguity}" alt="moves by landmark">
<h2>Landmarks with most suspects</h2>
<table><tr><th>landmark</th><th>suspects</th></tr>{rows}</table>
<h2>Worst samples</h2>
<p>Red: annotation; green: proposed label, joined to it; blue: prediction.</p>
{pictures}
</body></html>
"""


if __name__ == "__main__":
    main()
