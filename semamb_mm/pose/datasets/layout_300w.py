"""300W's folders: what is in them and which split takes which.

The parts are as iBUG hands them out, ``afw``, ``helen``, ``ibug`` and ``lfpw``, each
image with a ``.pts`` file of the same stem beside it. Names may be in capitals, the
folders below ``helen`` and ``lfpw`` may be called ``train`` and ``test``, and all of it
may lie below a folder ``images``, as MMPose wants it.
"""

from __future__ import annotations

import os
from pathlib import Path

from .face_json import readable_image_size
from .pts_face_dataset import BadImageError, PtsFaceDataset
from .pts_io import PtsError

# Part to its number of faces.
PARTS = {
    "afw": 337,
    "helen/trainset": 2000,
    "lfpw/trainset": 811,
    "helen/testset": 330,
    "lfpw/testset": 224,
    "ibug": 135,
}
_COMMON = ("helen/testset", "lfpw/testset")
# Named as MMPose names its json files.
SPLITS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "valid_common": _COMMON,
    "valid_challenge": ("ibug",),
    "valid": (*_COMMON, "ibug"),
}
# Some copies of 300W have each image mirrored beside it; no split counts those.
MIRRORED = "_mirror"


def image_root(root: str | os.PathLike) -> Path:
    """The folder that image paths are relative to: ``images``, or the root itself."""
    images = Path(root) / "images"
    return images if images.is_dir() else Path(root)


def find_part(root: str | os.PathLike, part: str) -> Path:
    """The folder of a part, one of :data:`PARTS`.

    Raises:
        FileNotFoundError: If there is none.
    """
    folder = image_root(root)
    for name in part.split("/"):
        names = {name, name.removesuffix("set")}
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        matches = [e for e in entries if e.name.lower() in names and e.is_dir()]
        if not matches:
            raise FileNotFoundError(
                f"no folder {folder / name}, for part {part} of 300W "
                f"({PARTS[part]:,} faces). Expected {', '.join(PARTS)} below "
                f"{image_root(root)}; faces of helen or lfpw that are not in a "
                "trainset and a testset cannot be told apart"
            )
        folder = matches[0]
    return folder


class Face300WParts(PtsFaceDataset):
    """The faces of some of 300W's parts, read one by one to name each bad one.

    Args:
        root: Of the data set.
        parts: Some of :data:`PARTS`.
        origin: As in :class:`PtsFaceDataset`.

    Raises:
        FileNotFoundError: If a part's folder is missing.
    """

    def __init__(self, root: str, parts: tuple[str, ...], origin: int = 0) -> None:
        folders = [os.path.relpath(find_part(root, part), root) for part in parts]
        super().__init__(
            root, dict(img=folders), origin=origin, test_mode=True, lazy_init=True
        )

    def faces(self) -> list:
        """What to give to :meth:`read`, sorted by path."""
        return [s for s in self._found() if not s.stem.endswith(MIRRORED)]

    def read(self, face) -> dict | str:
        """A face's ``img_path``, ``size`` and ``keypoints``, or what is wrong with it.

        The image is decoded in full.
        """
        try:
            info = self._load_sample(face, image_id=0)
            size = readable_image_size(info["img_path"])
        except (BadImageError, PtsError, OSError) as error:
            return str(error)
        return dict(
            img_path=info["img_path"], size=size, keypoints=info["keypoints"][0]
        )
