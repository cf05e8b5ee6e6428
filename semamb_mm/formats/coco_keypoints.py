"""Keypoints in the annotations of COCO's json files and of its whole-body set's."""

from __future__ import annotations

from collections.abc import Sequence

# In the order in which MMPose joins them to 133 landmarks.
WHOLE_BODY = (
    *("keypoints", "foot_kpts", "face_kpts"),
    *("lefthand_kpts", "righthand_kpts"),
)
# Fields that may hold all landmarks of a sample, the usual one first.
_FIELDS = (("keypoints",), WHOLE_BODY, ("face_kpts",))


def keypoint_fields(annotation: dict, num_keypoints: int) -> Sequence[str] | None:
    """Return the fields that together hold so many landmarks; None if none do.

    Example:
        >>> keypoint_fields(dict(keypoints=[4, 5, 2, 8, 9, 2]), 2)
        ('keypoints',)
    """
    for names in _FIELDS:
        lists = [annotation.get(name) for name in names]
        if all(isinstance(values, list) for values in lists) and (
            sum(map(len, filter(None, lists))) == 3 * num_keypoints
        ):
            return names
    return None


def get_keypoint(
    annotation: dict, fields: Sequence[str], landmark: int
) -> tuple[float, float, float]:
    """Return x, y and the visibility flag of a landmark, as the file has them."""
    values, first = _place(annotation, fields, landmark)
    return values[first], values[first + 1], values[first + 2]


def set_keypoint(
    annotation: dict,
    fields: Sequence[str],
    landmark: int,
    point: Sequence[float] | None = None,
    flag: int | None = None,
) -> None:
    """Change a landmark in place; the count of labelled ones follows.

    Args:
        annotation: Of a COCO file.
        fields: Of :func:`keypoint_fields`.
        landmark: Its number, from 0.
        point: ``(x, y)`` as the file counts; None leaves it.
        flag: 2 for visible, 1 for hidden, 0 for not labelled; None leaves it.
    """
    values, first = _place(annotation, fields, landmark)
    if point is not None:
        values[first : first + 2] = [round(float(value), 3) for value in point]
    if flag is None:
        return
    gained = (flag > 0) - (values[first + 2] > 0)
    if values is annotation.get("keypoints") and "num_keypoints" in annotation:
        annotation["num_keypoints"] += gained
    values[first + 2] = flag


def _place(annotation: dict, fields: Sequence[str], landmark: int) -> tuple[list, int]:
    """Return the list that holds a landmark, and where in it."""
    first = 3 * landmark
    for name in fields:
        values = annotation[name]
        if first < len(values):
            return values, first
        first -= len(values)
    raise IndexError(landmark)
