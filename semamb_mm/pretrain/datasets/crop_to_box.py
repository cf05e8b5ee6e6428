"""The transform that leaves of an image what its box holds."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropToBox(BaseTransform):
    """Crop the image to the object's box; without one it stays whole.

    Example:
        ```python
        load, *steps = _base_.train_pipeline
        train_pipeline = [load, dict(type='CropToBox'), *steps]
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='CUBRetrieval', data_root='data/CUB_200_2011',
            split='train', crop=True, pipeline=train_pipeline))
        ```

    **Required Keys:** ``img``. **Optional Keys:** ``bbox``, ``(x1, y1, x2,
    y2)`` in pixels, the upper bounds exclusive. **Modified Keys:** ``img``,
    ``img_shape``. **Deleted Keys:** ``bbox``.

    Data sets with ``crop=True`` give the box. Its part outside the image is
    cut off.

    Raises:
        ValueError: If no pixel of the image is in the box.
    """

    def transform(self, results: dict) -> dict:
        """Crops ``results['img']``."""
        box = results.pop("bbox", None)
        if box is None:
            return results
        image = results["img"]
        height, width = image.shape[:2]
        limits = [width, height, width, height]
        x1, y1, x2, y2 = np.clip(np.rint(box), 0, limits)
        if not (x1 < x2 and y1 < y2):
            raise ValueError(
                f"{results.get('img_path', 'image')}: the box {list(box)} holds no "
                f"pixel of the {width} x {height} px image"
            )
        results["img"] = image[int(y1) : int(y2), int(x1) : int(x2)]
        results["img_shape"] = results["img"].shape[:2]
        return results
