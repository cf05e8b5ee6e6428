"""Omniglot's characters, for zero-shot retrieval."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mmpretrain.registry import DATASETS

from .retrieval_dataset import RetrievalDataset
from .zip_backend import PREFIX, open_archive

# Greek and Latin of small2 also occur in small1.
SMALL_TEST = ("Japanese_(katakana)", "Sanskrit", "Tagalog")
PARTS = {
    ("small", "train"): "images_background_small1",
    ("small", "test"): "images_background_small2",
    ("full", "train"): "images_background",
    ("full", "test"): "images_evaluation",
}
IMAGE = re.compile(r"[^/]+/([^/]+)/(character\d+)/\d+_\d+\.png")


@DATASETS.register_module()
class OmniglotRetrieval(RetrievalDataset):
    """Omniglot's characters for zero-shot retrieval; a class is a character.

    ``<part>/<alphabet>/character01/0001_01.png``, 20 drawings of each. A part
    may be a folder or the archive ``<part>.zip`` as it is downloaded.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='OmniglotRetrieval', data_root='data/omniglot',
            version='small', split='train', pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): Holds the parts.
        split (str): As :class:`RetrievalDataset`'s. No alphabet is in two of
            ``train_only``, ``val`` and ``test``.
        version (str): ``small`` trains on ``images_background_small1`` and
            tests on the three alphabets of ``images_background_small2`` that
            do not occur there; ``full`` trains on ``images_background`` and
            tests on ``images_evaluation``.
        alphabets (sequence of str, optional): Only these of the part.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        FileNotFoundError: If a part is there neither as folder nor archive.
        ValueError: If the version or an alphabet is unknown, or an archive is
            damaged.
    """

    def __init__(
        self,
        data_root: str,
        version: str = "small",
        alphabets: Sequence[str] | None = None,
        **kwargs,
    ) -> None:
        if version not in ("small", "full"):
            raise ValueError(
                f"OmniglotRetrieval: version is 'small' or 'full', not {version!r}"
            )
        self.version = version
        self.alphabets = alphabets
        super().__init__(data_root=data_root, **kwargs)

    def load_samples(self) -> list[dict]:
        """Drawings in the order of alphabet, character and file name."""
        part = PARTS[self.version, self.part]
        prefix, names = list_part(self.data_root, part)
        drawings = [match for match in map(IMAGE.fullmatch, sorted(names)) if match]
        alphabets = self.alphabets
        if alphabets is None and (self.version, self.part) == ("small", "test"):
            alphabets = SMALL_TEST
        if alphabets is not None:
            there = {match[1] for match in drawings}
            if missing := set(alphabets) - there:
                raise ValueError(
                    f"OmniglotRetrieval: {prefix}{part} has the alphabets "
                    f"{sorted(there)}, not {sorted(missing)}"
                )
            drawings = [match for match in drawings if match[1] in alphabets]
        classes = sorted({f"{match[1]}/{match[2]}" for match in drawings})
        self._metainfo["classes"] = tuple(classes)
        label = {name: i for i, name in enumerate(classes)}
        return [
            dict(img_path=prefix + match[0], gt_label=label[f"{match[1]}/{match[2]}"])
            for match in drawings
        ]

    def class_groups(self, classes: Sequence[str]) -> list[str]:
        """Return each character's alphabet: whole ones are held out."""
        return [name.split("/")[0] for name in classes]


def list_part(root: str, part: str) -> tuple[str, list[str]]:
    """Prefix and relative names of a part's files, from folder or archive."""
    folder, archive = Path(root, part), Path(root, part + ".zip")
    if folder.is_dir():
        names = [
            Path(base, name).relative_to(root).as_posix()
            for base, _, files in os.walk(folder)
            for name in files
        ]
        return f"{root}/", names
    if archive.is_file():
        path = archive.absolute().as_posix()
        return f"{PREFIX}{path}/", open_archive(path, os.getpid()).namelist()
    raise FileNotFoundError(
        f"OmniglotRetrieval: {root} holds neither {part}/ nor {part}.zip"
    )
