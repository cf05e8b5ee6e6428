"""Tests of what is known about faces, and the face that they measure."""

import numpy as np


def make_face(scale=1.0):
    """68 landmarks: inter-pupil 80, inter-ocular 100, tight box 120 x 90."""
    face = np.full((68, 2), 50.0)
    face[0], face[16], face[8] = (0, 10), (120, 10), (60, 100)
    face[36:42] = [(10, 40), (20, 30), (30, 30), (40, 40), (10, 50), (10, 50)]
    face[42:48] = [(80, 40), (90, 30), (100, 30), (110, 40), (110, 50), (110, 50)]
    return face * scale
