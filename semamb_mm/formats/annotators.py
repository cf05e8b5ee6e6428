"""The same samples as several annotators marked them: files in, arrays out.

Several COCO json files, one for each annotator; one file whose annotations name their
annotator; or several folders of ``.pts`` files. Landmarks, samples and whole images may
be missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .images import IMAGE_SUFFIXES
from .pts import read_pts

_SHOWN = 4  # names in a message


class Mark(NamedTuple):
    """What one annotator marked of one sample.

    Attributes:
        image: Name of the image.
        instance: Which of several in the image; None if nothing says.
        repeat: Which of several times that the annotator marked it.
        points: ``(K, 2)`` pixels, NaN where missing.
        group: The same for images of equal content; None if nothing says.
    """

    image: str
    instance: Hashable
    repeat: Hashable
    points: np.ndarray
    group: Hashable = None


class Opinions(NamedTuple):
    """``N`` samples as ``A`` annotators marked them.

    Attributes:
        names: Of the annotators.
        landmarks: Names of the ``K`` landmarks; their numbers where nothing says.
        samples: Names of the samples, by image, instance and repeat.
        images: Name of each one's image.
        groups: ``(N,)`` int, the same for samples that show the same.
        points: ``(A, N, K, 2)`` float64 pixels, NaN where missing.
    """

    names: list[str]
    landmarks: list[str]
    samples: list[str]
    images: list[str]
    groups: np.ndarray
    points: np.ndarray

    def only(self, *names: str) -> Opinions:
        """Return those of some annotators, of all samples."""
        rows = [self.names.index(name) for name in names]
        return self._replace(names=list(names), points=self.points[rows])


class AnnotatorsError(ValueError):
    """Files of several annotators that do not fit; the message names what differs."""


def named_paths(texts: Sequence[str]) -> dict[str, str]:
    """Return annotator to path of ``NAME=PATH``, as tools take them.

    Raises:
        AnnotatorsError: On something else, or a name that comes twice.

    Example:
        >>> named_paths(["anna=labels/anna", "ben=labels/ben"])
        {'anna': 'labels/anna', 'ben': 'labels/ben'}
    """
    named: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise AnnotatorsError(
                f"{text!r}: expected NAME=PATH, such as anna=anna.json"
            )
        if name in named:
            raise AnnotatorsError(f"{text!r}: two annotators have the same name")
        named[name] = path
    return named


def read_several_coco(files: Mapping[str, str | os.PathLike]) -> Opinions:
    """Read a COCO json for each annotator.

    Images are the same if their ``file_name`` is. Where an image holds several
    instances, those are the same whose annotations have the same ``instance``, or else
    the same ``id``. Annotations with other values of ``repeat`` are samples of their
    own, and images with the same ``group`` show the same.

    Args:
        files: Annotator to file.

    Raises:
        AnnotatorsError: If a file is none such, or they share nothing.
    """
    read = {name: _read_coco(path) for name, path in files.items()}
    marks = {
        name: [
            _mark(annotation, image, path, id_counts=True) for annotation, image in part
        ]
        for (name, path), (part, _) in zip(files.items(), read.values())
    }
    return gather(marks, [names for _, names in read.values()])


def read_one_coco(path: str | os.PathLike, key: str = "annotator") -> Opinions:
    """Read one COCO json whose annotations name their annotator.

    See :func:`read_several_coco`; instances of an image are told apart by ``instance``
    alone.

    Args:
        path: The file.
        key: Field of an annotation that says who made it.

    Raises:
        AnnotatorsError: As there, and if an annotation does not name its annotator.
    """
    content, landmarks = _read_coco(path)
    marks: dict[str, list[Mark]] = {}
    for annotation, image in content:
        if key not in annotation:
            raise AnnotatorsError(
                f"{path}: annotation {annotation.get('id')!r} has no {key!r}; expected "
                "the annotator's name in every one"
            )
        mark = _mark(annotation, image, path, id_counts=False)
        marks.setdefault(str(annotation[key]), []).append(mark)
    return gather(dict(sorted(marks.items())), [landmarks])


def read_several_pts(folders: Mapping[str, str | os.PathLike]) -> Opinions:
    """Read a folder of ``.pts`` files for each annotator; a missing file is missing.

    Samples are the same if their path below the folder is; the image's name is that
    path without suffix.

    Args:
        folders: Annotator to folder.

    Raises:
        AnnotatorsError: If a folder has no ``.pts`` files, numbers of landmarks differ,
            or they share nothing.
        PtsError: If a file is none such.
    """
    marks: dict[str, list[Mark]] = {}
    first: tuple[Path, int] | None = None
    for name, folder in folders.items():
        root = Path(folder)
        paths = sorted(p for p in root.rglob("*.pts") if not p.name.startswith("."))
        if not paths:
            raise AnnotatorsError(f"{folder}: no .pts files in this folder of {name!r}")
        marks[name] = []
        for path in paths:
            points = read_pts(path, None).astype(np.float64)
            first = first or (path, len(points))
            if len(points) != first[1]:
                raise AnnotatorsError(
                    f"{path} has {len(points)} landmarks, {first[0]} has {first[1]}; "
                    "expected one mark-up"
                )
            stem = path.relative_to(root).with_suffix("").as_posix()
            marks[name].append(Mark(stem, None, 0, points))
    return gather(marks, [])


def gather(
    marks: Mapping[str, Sequence[Mark]], landmarks: Sequence[Sequence[str]] = ()
) -> Opinions:
    """Bring together what annotators marked.

    Args:
        marks: Annotator to marks.
        landmarks: Names of the landmarks by each file that says some.

    Raises:
        AnnotatorsError: If they do not fit.
    """
    lengths = {
        len(mark.points): (n, mark) for n, part in marks.items() for mark in part
    }
    if not lengths:
        raise AnnotatorsError(f"no annotations of {_listed(marks)}")
    if len(lengths) > 1:
        (few, (a, one)), (many, (b, other)) = sorted(lengths.items())[:2]
        raise AnnotatorsError(
            f"{a} has {few} landmarks in {one.image!r}, {b} has {many} in "
            f"{other.image!r}; expected one mark-up"
        )
    named = [list(names) for names in landmarks if names]
    for names in named[1:]:
        if names != named[0]:
            differ = next(
                k for k, pair in enumerate(zip(names, named[0])) if len(set(pair)) > 1
            )
            raise AnnotatorsError(
                f"landmark {differ} is {named[0][differ]!r} in one file and "
                f"{names[differ]!r} in another; expected one order"
            )
    samples, rows = match_samples(
        {name: [mark[:3] for mark in part] for name, part in marks.items()}
    )
    (count,) = lengths
    points = np.full((len(marks), len(samples), count, 2), np.nan)
    groups: dict[int, Hashable] = {}
    for number, (name, part) in enumerate(marks.items()):
        for row, mark in zip(rows[name], part):
            points[number, row] = mark.points
            if mark.group is not None:
                groups[row] = ("group", mark.group, mark.instance)
    shown = [groups.get(i, key[:2]) for i, key in enumerate(samples)]
    numbers: dict[Hashable, int] = {}
    return Opinions(
        list(marks),
        named[0] if named else [str(k) for k in range(count)],
        [_sample_name(key) for key in samples],
        [key[0] for key in samples],
        np.array([numbers.setdefault(key, len(numbers)) for key in shown]),
        points,
    )


def match_samples(
    keys: Mapping[str, Sequence[tuple[str, Hashable, Hashable]]],
) -> tuple[list[tuple[str, Hashable, Hashable]], dict[str, list[int]]]:
    """Find which samples of several annotators are the same.

    Args:
        keys: Annotator to image, instance and repeat of each of their samples. Where no
            annotator has several instances in an image, what they are called does not
            matter.

    Returns:
        The samples, sorted, and annotator to the row of each of theirs.

    Raises:
        AnnotatorsError: If an annotator has a sample twice, or no two share one.
    """
    several = {
        image
        for part in keys.values()
        for (image, _), count in Counter((image, r) for image, _, r in part).items()
        if count > 1
    }
    own = {
        name: [(i, n if i in several else None, r) for i, n, r in part]
        for name, part in keys.items()
    }
    for name, part in own.items():
        twice = [key for key, count in Counter(part).items() if count > 1]
        if twice:
            raise AnnotatorsError(
                f"{name} has {_sample_name(twice[0])!r} more than once; where an image "
                "holds several, give each annotation its 'instance', and where it was "
                "annotated again, a 'repeat'"
            )
    samples = sorted({key for part in own.values() for key in part}, key=str)
    _check_shared(own, several)
    place = {key: row for row, key in enumerate(samples)}
    return samples, {name: [place[key] for key in part] for name, part in own.items()}


def _check_shared(own: Mapping[str, Sequence], several: set[str]) -> None:
    """Refuse annotators that have images in common, but no sample; or not even that."""
    if len(own) < 2:
        return
    counts = Counter(key for part in own.values() for key in set(part))
    if counts and max(counts.values()) > 1:
        return
    images = [{key[0] for key in part} for part in own.values()]
    common = images[0].intersection(*images[1:]) & several
    if common:
        image = sorted(common)[0]
        raise AnnotatorsError(
            f"image {image!r} holds several instances, and nobody's agree: give the "
            "same one the same 'instance', or the same 'id', in every file"
        )
    raise AnnotatorsError(
        f"{_listed(own)} share no image: theirs are "
        f"{', '.join(repr(min(part)) for part in images if part)} and so on; expected "
        "the same names"
    )


def group_equal_files(groups: np.ndarray, paths: Sequence[Path | None]) -> np.ndarray:
    """Return groups ``(N,)`` joined where the samples' images are equal, byte by byte.

    Args:
        groups: ``(N,)``.
        paths: Of the images; None or missing files are equal to no other.
    """
    groups = groups.copy()
    first: dict[str, int] = {}
    known: dict[Path, str] = {}
    for row, path in enumerate(paths):
        if path is None or not path.is_file():
            continue
        if path not in known:
            known[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        other = first.setdefault(known[path], groups[row])
        groups[groups == groups[row]] = other
    return groups


def find_image(root: str | os.PathLike, name: str) -> Path | None:
    """Return the file of an image's name, with or without suffix; None if missing."""
    path = Path(root) / name
    if path.is_file():
        return path
    found = (path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)
    return next((file for file in found if file.is_file()), None)


def _read_coco(path: str | os.PathLike) -> tuple[list[tuple[dict, dict]], list[str]]:
    """Return annotations with their images, and the landmarks' names."""
    try:
        content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        images = {image["id"]: image for image in content["images"]}
        annotations = [
            (one, images[one["image_id"]])
            for one in content["annotations"]
            if one.get("keypoints")
        ]
        categories = content.get("categories") or [{}]
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotatorsError(f"{path}: no json file ({error})") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise AnnotatorsError(
            f"{path}: not in COCO's layout ({error!r}); expected 'images' with 'id' "
            "and 'file_name', and 'annotations' with 'image_id' and 'keypoints'"
        ) from error
    if not annotations:
        raise AnnotatorsError(f"{path}: no annotation with keypoints in it")
    return annotations, list(categories[0].get("keypoints") or [])


def _mark(
    annotation: dict, image: dict, path: str | os.PathLike, *, id_counts: bool
) -> Mark:
    try:
        marks = np.asarray(annotation["keypoints"], np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise AnnotatorsError(
            f"{path}: keypoints of annotation {annotation.get('id')!r} are no x, y, v "
            "for each landmark"
        ) from error
    seen = marks[:, 2] > 0
    points = np.where(seen[:, None], marks[:, :2], np.nan)
    if not np.isfinite(points[seen]).all():
        raise AnnotatorsError(
            f"{path}: annotation {annotation.get('id')!r} has visible keypoints that "
            "are not finite"
        )
    own = annotation.get("id") if id_counts else None
    return Mark(
        str(image["file_name"]),
        annotation.get("instance", own),
        annotation.get("repeat", 0),
        points,
        image.get("group"),
    )


def _sample_name(key: tuple[str, Hashable, Hashable]) -> str:
    image, instance, repeat = key
    name = image if instance is None else f"{image}#{instance}"
    return f"{name}@{repeat}" if repeat else name


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (" and others" if len(names) > _SHOWN else "")
