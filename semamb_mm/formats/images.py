"""Image files: their size from the header, and whether they are whole."""

from __future__ import annotations

import os

from PIL import Image, ImageFile

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
_EXIF_ORIENTATION = 0x0112


class BadImageError(ValueError):
    """An image file that is missing or cannot be read in full."""


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """(width, height) as OpenCV will load it, from the file's header."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            # PIL decodes a whole PNG to find its rarely used EXIF data
            has_exif = image.format in ("JPEG", "MPO")
            turned = has_exif and image.getexif().get(_EXIF_ORIENTATION, 1) >= 5
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadImageError(
            f"{path}: not a readable image ({error}); expected one of {IMAGE_SUFFIXES}"
        ) from error
    return (height, width) if turned else (width, height)


def check_image(path: str | os.PathLike) -> None:
    """Decodes an image strictly: OpenCV fills what is missing with grey."""
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadImageError(
            f"{path}: the image cannot be read in full ({error}); expected a whole "
            f"file, one of {IMAGE_SUFFIXES}"
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def readable_image_size(path: str | os.PathLike) -> tuple[int, int]:
    """(width, height) as OpenCV will load an image, which is decoded in full.

    Raises:
        BadImageError: If it is missing or cannot be decoded in full.
    """
    check_image(path)
    return image_size(path)
