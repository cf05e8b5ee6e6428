"""Landmarks drawn with LabelMe or CVAT, read from their exports.

Both count from the image's corner, half a pixel before the first pixel's centre;
numbers are taken as they are, as such exports usually are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np


class Drawn(NamedTuple):
    """The landmarks of one instance in an image.

    Attributes:
        image: Name of the image, as the export has it.
        size: (width, height) of the image.
        instance: LabelMe's ``group_id``, CVAT's ``group_id`` or number of the skeleton;
            None if nothing says.
        points: Name of a landmark to x, y and 2, or 1 where it is marked as occluded.
    """

    image: str
    size: tuple[int, int]
    instance: int | None
    points: dict[str, tuple[float, float, int]]


class DrawnError(ValueError):
    """An export that cannot be used; the message names the file."""


def read_labelme(folder: str | os.PathLike) -> list[Drawn]:
    """Read a folder of LabelMe's json files: shapes of the type ``point``.

    Labels name landmarks; ``group_id`` tells instances apart; other shapes are passed
    over.

    Raises:
        DrawnError: If there are none, or one is none such.
    """
    paths = sorted(Path(folder).rglob("*.json"))
    if not paths:
        raise DrawnError(f"{folder}: no json files of LabelMe in this folder")
    made: list[Drawn] = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            size = int(content["imageWidth"]), int(content["imageHeight"])
            # Windows writes its own slashes.
            image = str(content["imagePath"]).replace("\\", "/").rpartition("/")[2]
            shapes = [
                (one.get("group_id"), str(one["label"]), one["points"][0])
                for one in content["shapes"]
                if one.get("shape_type") == "point"
            ]
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DrawnError(f"{path}: no json file ({error})") from error
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise DrawnError(
                f"{path}: no file of LabelMe's ({error!r}); expected 'shapes', "
                "'imagePath', 'imageWidth' and 'imageHeight'"
            ) from error
        below = path.parent.relative_to(folder)
        name = (below / image).as_posix()
        found: dict[int | None, dict] = {}
        for group, label, (x, y) in shapes:
            _add(found.setdefault(group, {}), label, (float(x), float(y), 2), path)
        made += [Drawn(name, size, group, points) for group, points in found.items()]
    return made


def read_cvat(path: str | os.PathLike) -> list[Drawn]:
    """Read an export of CVAT, 'CVAT for images 1.1': skeletons, or points by label.

    A skeleton is an instance, its points' labels are landmarks; those that are
    ``outside`` are missing. Points outside any skeleton form an instance by their
    ``group_id``.

    Raises:
        DrawnError: If it is none such.
    """
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DrawnError(f"{path}: declares entities, which no export of CVAT's does")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DrawnError(f"{path}: no XML file ({error})") from error
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise DrawnError(
            f"{path}: no images in it; expected an export as 'CVAT for images 1.1'"
        )
    made: list[Drawn] = []
    for image in images:
        name = image.get("name", "")
        size = int(image.get("width", 0)), int(image.get("height", 0))
        skeletons = image.findall("skeleton")
        for number, skeleton in enumerate(skeletons):
            points: dict = {}
            for one in skeleton.findall("points"):
                _add_cvat(points, one, path)
            instance = number if len(skeletons) > 1 else None
            made.append(Drawn(name, size, instance, points))
        groups: dict[str | None, dict] = {}
        for one in image.findall("points"):
            _add_cvat(groups.setdefault(one.get("group_id"), {}), one, path)
        made += [
            Drawn(name, size, None if group is None else int(group), points)
            for group, points in groups.items()
        ]
    return made


def _add_cvat(points: dict, one: ElementTree.Element, path: str | os.PathLike) -> None:
    if one.get("outside") == "1":
        return
    places = one.get("points", "").split(";")
    try:
        ((x, y),) = (tuple(map(float, place.split(","))) for place in places)
    except ValueError as error:
        raise DrawnError(
            f"{path}: {one.get('label')!r} has the points {one.get('points')!r}; "
            "expected one: a label for each landmark"
        ) from error
    flag = 1 if one.get("occluded") == "1" else 2
    _add(points, str(one.get("label")), (x, y, flag), path)


def _add(points: dict, label: str, place: tuple, path: str | os.PathLike) -> None:
    if label in points:
        raise DrawnError(
            f"{path}: {label!r} is marked twice in one instance; where an image holds "
            "several, give each a group of its own"
        )
    points[label] = place


def coco_of_drawn(
    drawn: dict[str, Sequence[Drawn]], landmarks: Sequence[str], margin: float = 0.1
) -> dict:
    """Return a COCO json of all annotators, whose annotations name their annotator.

    Args:
        drawn: Annotator to instances.
        landmarks: Names, in their order.
        margin: Space around the landmarks in ``bbox``, share of their extent.

    Raises:
        DrawnError: On a label that is no landmark.
    """
    place = {name: k for k, name in enumerate(landmarks)}
    images: dict[str, dict] = {}
    annotations: list[dict] = []
    for annotator, instances in drawn.items():
        for one in instances:
            unknown = sorted(set(one.points) - set(place))
            if unknown:
                raise DrawnError(
                    f"{annotator}, {one.image}: {unknown[0]!r} is no landmark; "
                    f"expected {list(landmarks)}"
                )
            if not one.points:
                continue
            rows = np.zeros((len(landmarks), 3))
            for name, values in one.points.items():
                rows[place[name]] = values
            width, height = one.size
            new = dict(id=len(images), file_name=one.image, width=width, height=height)
            image = images.setdefault(one.image, new)
            seen = rows[rows[:, 2] > 0, :2]
            low, extent = seen.min(0), np.ptp(seen, axis=0).clip(1)
            box = [*(low - margin * extent), *((1 + 2 * margin) * extent)]
            made = dict(
                id=len(annotations),
                image_id=image["id"],
                category_id=1,
                iscrowd=0,
                annotator=annotator,
                keypoints=rows.ravel().tolist(),
                num_keypoints=len(seen),
                bbox=[float(value) for value in box],
                area=float(box[2] * box[3]),
            )
            if one.instance is not None:
                made["instance"] = one.instance
            annotations.append(made)
    category = dict(id=1, name="thing", keypoints=list(landmarks), skeleton=[])
    return dict(
        categories=[category], images=list(images.values()), annotations=annotations
    )
