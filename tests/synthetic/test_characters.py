"""Invented characters: what they look like, and that they stay the same."""

import cv2
import numpy as np
import pytest

from semamb_mm.synthetic import characters
from semamb_mm.synthetic.characters import (
    ALPHABETS,
    DRAWINGS,
    draw_character,
    invent_character,
    write_character_tree,
)


def test_strokes_lie_in_the_unit_square():
    rng = np.random.default_rng(0)
    for _ in range(50):
        strokes = np.stack(invent_character(rng))
        assert 2 <= len(strokes) <= 4 and strokes.shape[1:] == (3, 2)
        assert strokes.min() >= 0.1 and strokes.max() <= 0.9


def test_hands_differ_less_than_characters():
    rng = np.random.default_rng(1)

    def drawings(strokes):
        drawn = [draw_character(strokes, rng, wobble=0.02) < 128 for _ in range(6)]
        return np.stack([cv2.blur(d.astype(np.float32), (21, 21)) for d in drawn])

    one, other = (drawings(invent_character(rng)) for _ in range(2))
    within = np.abs(one[:3] - one[3:]).mean()
    assert 0 < within < 0.6 * np.abs(one - other).mean()


def test_the_same_seed_writes_the_same_tree(tmp_path):
    count = sum(map(len, ALPHABETS.values()))
    assert write_character_tree(tmp_path / "a", 1, seed=3) == count
    write_character_tree(tmp_path / "b", 1, seed=3)
    write_character_tree(tmp_path / "c", 1, seed=4)
    one, same, other = (
        [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.png"))]
        for name in "abc"
    )
    assert len(one) == count * DRAWINGS
    assert one == same
    assert all(a != b for a, b in zip(one, other))
    with pytest.raises(FileExistsError, match="name a new folder"):
        write_character_tree(tmp_path / "a", 1)


def test_a_tree_that_fails_does_not_appear(tmp_path, monkeypatch):
    monkeypatch.setattr(characters.cv2, "imwrite", lambda *_: False)
    with pytest.raises(OSError, match="could not write"):
        write_character_tree(tmp_path / "a", 1)
    assert not list(tmp_path.iterdir())
