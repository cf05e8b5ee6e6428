import numpy as np
import pytest

from semamb_mm.pretrain import CropToBox


def test_crop_keeps_to_the_image():
    image = np.arange(12).reshape(3, 4)
    crop = CropToBox()
    result = crop(dict(img=image, bbox=[-5, 1, 2.4, 99]))
    assert (result["img"] == image[1:, :2]).all()
    assert "bbox" not in result
    assert crop(dict(img=image))["img"] is image
    for box in ([4, 0, 9, 3], [2, 2, 2, 3], [float("nan"), 0, 2, 2]):
        with pytest.raises(ValueError, match="a.jpg: the box .* 4 x 3 px"):
            crop(dict(img=image, img_path="a.jpg", bbox=box))
