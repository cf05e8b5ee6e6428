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


@pytest.mark.parametrize(
    "box, rows, columns",
    [
        ([0.6, 0.4, 2.4, 2.6], slice(0, 3), slice(1, 2)),
        ([1.4, 0.6, 2.6, 2.4], slice(1, 2), slice(1, 3)),
        ([0.49, 1.51, 3.51, 2.51], slice(2, 3), slice(0, 4)),
    ],
)
def test_bounds_are_rounded_to_the_nearest_pixel(box, rows, columns):
    image = np.arange(12).reshape(3, 4)
    result = CropToBox()(dict(img=image, bbox=box))
    assert np.array_equal(result["img"], image[rows, columns])
    assert result["img_shape"] == result["img"].shape
