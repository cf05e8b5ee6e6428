"""Annotations as they lie on disk: read by a sample's key, copied with corrections.

The copy is in the data set's own format, and nothing else in it changes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import numpy as np

from semamb_mm.formats.coco_keypoints import get_keypoint, keypoint_fields, set_keypoint
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import move_points, read_pts
from semamb_mm.formats.pts_faces import face_key

from .decisions import Decision


class SourceError(ValueError):
    """A data set on disk that cannot be used; the message names it."""


class Change(NamedTuple):
    """What became of a landmark.

    Attributes:
        decision: Why.
        flags: The visibility before and after; None where the format has none.
    """

    decision: Decision
    flags: tuple[int, int] | None = None

    @property
    def in_log_alone(self) -> bool:
        """Whether the copy cannot say it, or says it already."""
        flags = self.flags or (0, 0)
        return self.decision.point is None and flags[0] == flags[1]


class Source(Protocol):
    """A data set on disk.

    Attributes:
        where: Its file or folder.
    """

    where: Path

    def __contains__(self, key: object) -> bool: ...

    def keypoints(self, key: str) -> np.ndarray:
        """Return a sample's annotation ``(K, 2)`` in pixels, the first one's centre 0.

        Raises:
            ValueError: If it has another number of landmarks.
        """

    def write(
        self, folder: Path, decided: Mapping[str, Sequence[Decision]], hidden: int
    ) -> list[Change]:
        """Write the corrected copy.

        Args:
            folder: Where to; it is there.
            decided: The new points, and what is hidden, by the samples' keys.
            hidden: The flag of what is hidden, where the format has one.
        """


def open_source(
    where: str | os.PathLike, num_keypoints: int, origin: int = 0
) -> Source:
    """Return a data set: a COCO file, or a folder of ``.pts`` files.

    Args:
        where: The ``ann_file`` of the one, or the ``data_root`` of the other.
        num_keypoints: Of each sample.
        origin: Coordinate of the first pixel's centre in its files, 0 or 1.

    Raises:
        SourceError: If it is neither.
    """
    where = Path(where)
    if where.is_dir():
        return PtsTree(where, num_keypoints, origin)
    if where.is_file():
        return CocoFile(where, num_keypoints, origin)
    raise SourceError(
        f"{where}: no such file or folder; expected the audited data set: its "
        "annotation file (.json), or its data_root with .pts files below it"
    )


class PtsTree:
    """``.pts`` files below a folder: 300W and the like, or 300-VW's videos.

    See :func:`open_source` for the arguments.
    """

    def __init__(self, where: Path, num_keypoints: int, origin: int) -> None:
        self.where, self.num_keypoints, self.origin = where, num_keypoints, origin
        self._paths: dict[str, Path] = {}
        for path in self._files():
            if path.suffix.lower() != ".pts":
                continue
            self._paths.setdefault(self._key(path.with_suffix("")), path)
            if path.parent.name == "annot":  # a frame of a video
                self._paths.setdefault(self._key(path.parent.parent / path.stem), path)
        if not self._paths:
            raise SourceError(
                f"{where}: no .pts files below it; expected the data_root of the "
                "audited data set"
            )

    def _key(self, stem: Path) -> str:
        return face_key(str(stem), str(self.where))

    def _files(self) -> Iterator[Path]:
        """Yield files and linked folders, but not hidden ones."""
        for parent, folders, names in os.walk(self.where):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            linked = (name for name in folders if os.path.islink(f"{parent}/{name}"))
            for name in sorted([*names, *linked]):
                if not name.startswith("."):
                    yield Path(parent, name)

    def __contains__(self, key: object) -> bool:
        return key in self._paths

    def keypoints(self, key: str) -> np.ndarray:
        """Return a sample's annotation; see :class:`Source`."""
        return read_pts(self._paths[key], self.num_keypoints, self.origin)

    def write(
        self, folder: Path, decided: Mapping[str, Sequence[Decision]], hidden: int
    ) -> list[Change]:
        """Copy the ``.pts`` files, and link all others; see :class:`Source`."""
        points = {
            self._paths[key]: {d.landmark: d.point for d in mine if d.point}
            for key, mine in decided.items()
        }
        for path in self._files():
            target = folder / path.relative_to(self.where)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() != ".pts" or path.is_dir():
                target.symlink_to(path.resolve())
            elif path in points:
                move_points(path, points[path], target, self.origin)
            else:
                shutil.copyfile(path, target)
        return [Change(decision) for mine in decided.values() for decision in mine]


class CocoFile:
    """A COCO keypoint file, of any data set of MMPose that has one.

    See :func:`open_source` for the arguments.
    """

    def __init__(self, where: Path, num_keypoints: int, origin: int) -> None:
        self.where, self.num_keypoints, self.origin = where, num_keypoints, origin
        # By their id as text: what a key must end with, and the annotation.
        self._by_id: dict[str, list[tuple[tuple[str, ...], dict]]] = {}
        try:
            self._content = json.loads(where.read_text(encoding="utf-8"))
            names = {i["id"]: i["file_name"] for i in self._content["images"]}
            for annotation in self._content["annotations"]:
                number = str(annotation["id"])
                end = f"{names[annotation['image_id']]}#{number}"
                known = self._by_id.setdefault(number, [])
                known.append((PurePosixPath(end).parts, annotation))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise SourceError(
                f"{where}: not a COCO file of keypoints ({type(error).__name__}: "
                f"{error}); expected the annotation file of the audited data set, with "
                "'images' and 'annotations'"
            ) from error

    def _annotation(self, key: object) -> dict | None:
        """Return a sample's; its key has the data set's name before the image's."""
        parts = PurePosixPath(str(key)).parts
        for end, annotation in self._by_id.get(str(key).rpartition("#")[2], ()):
            if parts[-len(end) :] == end:
                return annotation
        return None

    def __contains__(self, key: object) -> bool:
        return self._annotation(key) is not None

    def _fields(self, key: str) -> tuple[dict, Sequence[str]]:
        annotation = self._annotation(key)
        if annotation is None:
            raise KeyError(key)
        fields = keypoint_fields(annotation, self.num_keypoints)
        if fields is None:
            raise SourceError(
                f"{self.where}: annotation {annotation['id']} does not hold "
                f"{self.num_keypoints} keypoints, as the audited samples have. Where "
                "the config maps landmarks from another mark-up, correct them by hand"
            )
        return annotation, fields

    def keypoints(self, key: str) -> np.ndarray:
        """Return a sample's annotation; see :class:`Source`."""
        annotation, fields = self._fields(key)
        numbers = range(self.num_keypoints)
        rows = [get_keypoint(annotation, fields, k)[:2] for k in numbers]
        return np.array(rows, np.float64) - self.origin

    def write(
        self, folder: Path, decided: Mapping[str, Sequence[Decision]], hidden: int
    ) -> list[Change]:
        """Write the file under its own name; see :class:`Source`."""
        changes = []
        for key, mine in decided.items():
            annotation, fields = self._fields(key)
            for decision in mine:
                k, point = decision.landmark, decision.point
                before = int(get_keypoint(annotation, fields, k)[2])
                flag = before if point else min(before, hidden)
                moved = None if point is None else np.add(point, self.origin).tolist()
                set_keypoint(annotation, fields, k, moved, flag)
                changes.append(Change(decision, (before, flag)))
        with atomic_write(folder / self.where.name, encoding="utf-8") as file:
            json.dump(self._content, file)
        return changes
