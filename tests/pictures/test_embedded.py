import base64

import cv2
import numpy as np

from semamb_mm.pictures.embedded import embedded, embedded_image


def test_an_image_is_in_its_address():
    image = np.zeros((8, 12, 3), np.uint8)
    image[:, 6:] = 200
    start, data = embedded_image(image).split(",")
    assert start == "data:image/jpeg;base64"
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
    assert back.shape == image.shape and abs(back.astype(int) - image).mean() < 10
    assert embedded(b"abc", "png") == "data:image/png;base64,YWJj"
