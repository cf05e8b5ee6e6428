"""Image files: their size, and whether they are whole."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from semamb_mm.formats.images import (
    IMAGE_SUFFIXES,
    BadImageError,
    check_image,
    image_size,
    readable_image_size,
)


def put(path, width=40, height=30):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_sizes_of_whole_images(tmp_path, suffix):
    path = put(tmp_path / f"a{suffix}")
    assert image_size(path) == readable_image_size(path) == (40, 30)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photograph_has_the_size_that_opencv_loads(tmp_path, turn):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (40, 30)).save(path, exif=exif)
    height, width = cv2.imread(str(path)).shape[:2]
    assert image_size(path) == (width, height)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_an_image_cut_short(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = put(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert image_size(path) == (40, 30)
    for function in (check_image, readable_image_size):
        with pytest.raises(BadImageError, match=f"a{suffix}: .* in full .*a whole"):
            function(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_no_image(tmp_path):
    path = tmp_path / "a.jpg"
    for _ in range(2):
        with pytest.raises(BadImageError, match="a.jpg: not a readable image .*'.png'"):
            image_size(path)
        with pytest.raises(BadImageError, match="a.jpg: the image cannot be read"):
            check_image(path)
        path.write_text("404 not found")
