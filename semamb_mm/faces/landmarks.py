"""What a 68-point face is: 300W's mark-up, its groups, curves and eyes.

Everything that depends on the order of the 68 landmarks takes it from here.
Landmarks are counted from 0; "left" and "right" are the image's.
"""

from __future__ import annotations

from typing import NamedTuple

NUM_LANDMARKS = 68


class Part(NamedTuple):
    """A part of the face whose landmarks lie along one curve.

    Attributes:
        landmarks: Their indices, in order along the curve.
        closed: Whether the last landmark is joined to the first.
    """

    landmarks: range
    closed: bool

    @property
    def span(self) -> slice:
        """The part's landmarks as a slice of all of them."""
        return slice(self.landmarks.start, self.landmarks.stop)


PARTS_68 = dict(
    contour=Part(range(0, 17), closed=False),
    left_brow=Part(range(17, 22), closed=False),
    right_brow=Part(range(22, 27), closed=False),
    nose_bridge=Part(range(27, 31), closed=False),
    nose_base=Part(range(31, 36), closed=False),
    left_eye=Part(range(36, 42), closed=True),
    right_eye=Part(range(42, 48), closed=True),
    outer_lips=Part(range(48, 60), closed=True),
    inner_lips=Part(range(60, 68), closed=True),
)
# The parts with landmarks that have no exact definition along their curve.
WEAK_PARTS_68 = ("contour", "left_brow", "right_brow", "nose_bridge")


def _landmarks(*parts: str) -> tuple[int, ...]:
    return tuple(k for part in parts for k in PARTS_68[part].landmarks)


# The regions that figures are quoted for; together they are the whole face.
REGIONS_68 = dict(
    contour=_landmarks("contour"),
    brows=_landmarks("left_brow", "right_brow"),
    nose=_landmarks("nose_bridge", "nose_base"),
    eyes=_landmarks("left_eye", "right_eye"),
    mouth=_landmarks("outer_lips", "inner_lips"),
)
GROUPS_68 = dict(
    REGIONS_68,
    weak=_landmarks(*WEAK_PARTS_68),
    strong=_landmarks(*(part for part in PARTS_68 if part not in WEAK_PARTS_68)),
    all=_landmarks(*PARTS_68),
)

OUTER_EYE_CORNERS_68 = (36, 45)
# Norm to the landmarks of one eye and of the other.
EYE_INDICES_68 = dict(
    inter_pupil=(_landmarks("left_eye"), _landmarks("right_eye")),
    inter_ocular=tuple((corner,) for corner in OUTER_EYE_CORNERS_68),
)


def landmark_groups(num_keypoints: int) -> dict[str, list[int]]:
    """Return group names to landmark indices; only ``all`` for unknown mark-ups."""
    if num_keypoints == NUM_LANDMARKS:
        return {name: list(group) for name, group in GROUPS_68.items()}
    return dict(all=list(range(num_keypoints)))
