"""What the data sets share that are split by halves of their classes."""

from __future__ import annotations

from .crop_to_box import CropToBox
from .retrieval_dataset import RetrievalDataset


class ZeroShotDataset(RetrievalDataset):
    """Base of the data sets split by halves of their classes.

    The first half of the classes is for training, the second for testing;
    labels count from 0 in each. The data set's own split by images is
    ignored.

    Args:
        data_root (str): The data set's folder.
        crop (bool): Put the object's ``bbox`` into the data infos, for
            :class:`CropToBox` in the pipeline. Defaults to ``False``.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        ValueError: If ``crop`` is set and the pipeline does not crop.
    """

    def __init__(self, data_root: str, crop: bool = False, **kwargs) -> None:
        self.crop = crop
        super().__init__(data_root=data_root, **kwargs)
        transforms = self.pipeline.transforms
        if (
            crop
            and transforms
            and not any(isinstance(t, CropToBox) for t in transforms)
        ):
            raise ValueError(
                f"{type(self).__name__}: crop=True needs dict(type='CropToBox') in "
                "the pipeline, after the image is loaded"
            )

    def split_classes(
        self, samples: list[dict], classes: list[str], source: str
    ) -> list[dict]:
        """This part's samples, their labels counted from 0.

        Args:
            samples: All samples; ``gt_label`` counts from 0 over all classes.
            classes: Names of all classes.
            source: The file that has the labels, for errors.

        Raises:
            ValueError: On a label that is no class, or a class without images.
        """
        found = {sample["gt_label"] for sample in samples}
        if unknown := found - set(range(len(classes))):
            raise ValueError(
                f"{source}: classes 1 to {len(classes)} expected, found "
                f"{min(unknown) + 1}"
            )
        if missing := set(range(len(classes))) - found:
            raise ValueError(
                f"{source}: no image of {len(missing)} of {len(classes)} classes, "
                f"the first {classes[min(missing)]!r}; is the file whole?"
            )
        half = len(classes) // 2
        first, last = (0, half) if self.part == "train" else (half, len(classes))
        self._metainfo["classes"] = tuple(classes[first:last])
        return [
            dict(sample, gt_label=sample["gt_label"] - first)
            for sample in samples
            if first <= sample["gt_label"] < last
        ]
