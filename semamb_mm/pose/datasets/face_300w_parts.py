"""300W's faces part by part, for its checks and converters."""

from __future__ import annotations

import os

from semamb_mm.formats.images import BadImageError, readable_image_size
from semamb_mm.formats.layout_300w import MIRRORED, find_part
from semamb_mm.formats.pts import PtsError

from .pts_face_dataset import PtsFaceDataset


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
