"""Faces that several modules test with."""

import pytest

from semamb_mm.synthetic.faces import render_face


@pytest.fixture(scope="module")
def faces():
    return [render_face(seed=5, index=index) for index in range(24)]
