"""Keypoints of COCO's and its whole-body annotations."""

import pytest

from semamb_mm.formats.coco_keypoints import (
    WHOLE_BODY,
    get_keypoint,
    keypoint_fields,
    set_keypoint,
)

LENGTHS = (17, 6, 68, 21, 21)


def whole_body():
    """Landmark k at (k, 1000 + k), flag 2; the fields as COCO-WholeBody has them."""
    annotation, first = dict(id=1, num_keypoints=17), 0
    for name, length in zip(WHOLE_BODY, LENGTHS):
        rows = range(first, first + length)
        annotation[name] = [value for k in rows for value in (k, 1000 + k, 2)]
        first += length
    return annotation


def test_133_landmarks_lie_in_five_fields():
    annotation = whole_body()
    fields = keypoint_fields(annotation, 133)
    assert fields == WHOLE_BODY
    for k in range(133):
        assert get_keypoint(annotation, fields, k) == (k, 1000 + k, 2)
    before = whole_body()
    set_keypoint(annotation, fields, 91, (4.12345, 5), flag=0)
    assert annotation["lefthand_kpts"][:3] == [4.123, 5, 0]
    annotation["lefthand_kpts"][:3] = [91, 1091, 2]
    assert annotation == before  # the hand's do not count as keypoints


@pytest.mark.parametrize(("number", "first"), [(17, "keypoints"), (68, "face_kpts")])
def test_a_part_of_them_lies_in_one_field(number, first):
    assert keypoint_fields(whole_body(), number) == (first,)


@pytest.mark.parametrize("number", [21, 134, 0])
def test_other_numbers_lie_nowhere(number):
    """Both hands of a person have 21: which is meant, the file does not say."""
    assert keypoint_fields(whole_body(), number) is None


@pytest.mark.parametrize(
    "annotation", [dict(keypoints="abc"), dict(keypoints=None), dict()]
)
def test_fields_of_another_kind_are_none(annotation):
    assert keypoint_fields(annotation, 1) is None


def test_the_others_stay_as_they_are():
    annotation = dict(keypoints=[1, 2.25, 2, 3, 4, 1, 0, 0, 0], num_keypoints=2)
    fields = keypoint_fields(annotation, 3)
    set_keypoint(annotation, fields, 1, (7.5, 8))
    assert annotation == dict(
        keypoints=[1, 2.25, 2, 7.5, 8, 1, 0, 0, 0], num_keypoints=2
    )


@pytest.mark.parametrize(("flag", "labelled"), [(2, 2), (1, 2), (0, 1)])
def test_the_count_follows_the_flag(flag, labelled):
    annotation = dict(keypoints=[1, 2, 2, 3, 4, 2], num_keypoints=2)
    set_keypoint(annotation, ("keypoints",), 1, flag=flag)
    assert annotation == dict(keypoints=[1, 2, 2, 3, 4, flag], num_keypoints=labelled)


def test_a_landmark_beyond_the_last_is_none():
    with pytest.raises(IndexError, match="2"):
        get_keypoint(dict(keypoints=[1, 2, 2, 3, 4, 2]), ("keypoints",), 2)
