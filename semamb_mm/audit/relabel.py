"""New labels in a data set's own format; the original is not touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from semamb_mm.formats.coco_keypoints import keypoint_fields, set_keypoint
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.layout_300vw import numbered_files
from semamb_mm.formats.pts import write_pts


def relabel_pts(
    image: str | os.PathLike,
    root: str | os.PathLike,
    keypoints: np.ndarray,
    folder: str | os.PathLike,
    origin: int = 0,
) -> None:
    """Write a ``.pts`` file at its place below a folder, its image linked beside it.

    Args:
        image: The image, below ``root``.
        root: The data set's folder.
        keypoints: ``(K, 2)`` image pixels.
        folder: What stands for ``root``.
        origin: Coordinate of the first pixel's centre in the file, 0 or 1.
    """
    image = Path(image)
    link = Path(folder) / image.relative_to(root)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(image.resolve())
    write_pts(link.with_suffix(".pts"), keypoints, origin=origin)


def relabel_videos(
    root: str | os.PathLike,
    frames: Mapping[tuple[str, int], np.ndarray],
    folder: str | os.PathLike,
    origin: int = 0,
) -> None:
    """Write the ``.pts`` files of 300-VW's videos, all else of each linked beside them.

    Args:
        root: The data set's folder.
        frames: Video and number of a frame, from 1, to ``(K, 2)`` image pixels. The
            others of these videos keep their annotations.
        folder: What stands for ``root``.
        origin: Coordinate of the first pixel's centre in the files, 0 or 1.
    """
    for video in dict.fromkeys(video for video, _ in frames):
        old, new = Path(root, video), Path(folder, video)
        (new / "annot").mkdir(parents=True, exist_ok=True)
        for path in old.iterdir():
            if path.name != "annot" and not (new / path.name).is_symlink():
                (new / path.name).symlink_to(path.resolve())
        for number, name in numbered_files(old / "annot", (".pts",)).items():
            place, points = new / "annot" / Path(name).name, frames.get((video, number))
            if points is None:
                shutil.copyfile(name, place)
            else:
                write_pts(place, points, origin=origin)


def relabel_drawn(name: str, keypoints: np.ndarray, folder: str | os.PathLike) -> None:
    """Write the ``.pts`` file of an image that is no file but is drawn.

    Args:
        name: The sample's; slashes become underscores.
        keypoints: ``(K, 2)`` image pixels.
        folder: Where to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_pts(folder / f"{name.replace('/', '_')}.pts", keypoints)


def relabel_samples(
    infos: Sequence[Mapping],
    samples: Sequence[tuple],
    labels: np.ndarray,
    folder: Path,
) -> None:
    """Write the annotations of data sets with new positions, in their own format.

    Args:
        infos: What the data sets give of each sample.
        samples: Data set and index of each. Its ``ann_file`` tells the format: a COCO
            file, or else ``.pts`` files below its ``data_root``; of 300-VW's videos all
            other frames' annotations are copied.
        labels: ``(N, K, 2)`` image pixels; NaN leaves a landmark alone.
        folder: Where to; with several data sets each has a folder in it.
    """
    leaves = distinct_leaves(samples)
    for number, leaf in enumerate(leaves):
        mine = [j for j, (other, _) in enumerate(samples) if other is leaf]
        part = folder if len(leaves) == 1 else folder / str(number)
        annotations = leaf.ann_file if isinstance(leaf.ann_file, str) else ""
        if annotations.endswith(".json"):
            ids = [infos[j]["id"] for j in mine]
            relabel_coco(annotations, ids, labels[mine], part)
            continue
        if all("frame_number" in infos[j] for j in mine):
            frames = {
                (infos[j]["sequence_id"], infos[j]["frame_number"]): _filled(
                    infos[j], labels[j]
                )
                for j in mine
            }
            relabel_videos(leaf.data_root, frames, part, leaf.origin)
            continue
        for j in mine:
            relabel_sample(leaf, infos[j], labels[j], part)
        for name in (leaf.ann_file,) if annotations else leaf.ann_file or ():
            with atomic_write(part / Path(name).name, "wb") as file:
                file.write(Path(name).read_bytes())


def distinct_leaves(samples: Sequence[tuple]) -> list:
    """Return the data sets that samples come from, each once."""
    return list({id(leaf): leaf for leaf, _ in samples}.values())


def relabel_sample(leaf, info: Mapping, keypoints: np.ndarray, folder: Path) -> None:
    """Write a sample's .pts file; hidden landmarks (NaN) keep the position it has."""
    keypoints = _filled(info, keypoints)
    if "://" in str(info["img_path"]):
        relabel_drawn(info["sample_key"], keypoints, folder)
        return
    root, origin = leaf.data_root or ".", getattr(leaf, "origin", 0)
    relabel_pts(info["img_path"], root, keypoints, folder, origin)


def _filled(info: Mapping, keypoints: np.ndarray) -> np.ndarray:
    """Put a sample's own position where there is no new one."""
    return np.where(np.isfinite(keypoints), keypoints, info["keypoints"][0, :, :2])


def relabel_coco(
    ann_file: str | os.PathLike,
    ids: Sequence[int],
    labels: np.ndarray,
    folder: str | os.PathLike,
) -> None:
    """Write a copy of a COCO file with new keypoints, which stay as visible as before.

    Args:
        ann_file: The json file.
        ids: The annotations to change.
        labels: ``(N, K, 2)`` image pixels; NaN leaves a keypoint alone.
        folder: Where to.

    Raises:
        ValueError: If an annotation holds another number of keypoints.
    """
    content = json.loads(Path(ann_file).read_text())
    new = dict(zip(ids, labels))
    for annotation in content["annotations"]:
        points = new.get(annotation["id"])
        if points is None:
            continue
        fields = keypoint_fields(annotation, len(points))
        if fields is None:
            raise ValueError(
                f"{ann_file}: annotation {annotation['id']} does not hold "
                f"{len(points)} keypoints, as the samples have"
            )
        for k in np.flatnonzero(np.isfinite(points).all(1)):
            set_keypoint(annotation, fields, int(k), points[k])
    with atomic_write(Path(folder) / Path(ann_file).name) as file:
        json.dump(content, file)
