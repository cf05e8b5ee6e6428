import pytest

from semamb_mm.faces.landmarks import (
    EYE_INDICES_68,
    GROUPS_68,
    NUM_LANDMARKS,
    OUTER_EYE_CORNERS_68,
    PARTS_68,
    REGIONS_68,
    WEAK_PARTS_68,
    landmark_groups,
)


def test_parts_and_regions_are_each_the_whole_face():
    parts = [k for part in PARTS_68.values() for k in part.landmarks]
    regions = [k for region in REGIONS_68.values() for k in region]
    assert parts == regions == list(range(NUM_LANDMARKS)) == list(GROUPS_68["all"])


def test_weak_and_strong_divide_the_face():
    assert sorted(GROUPS_68["weak"] + GROUPS_68["strong"]) == list(GROUPS_68["all"])
    weak = [k for name in WEAK_PARTS_68 for k in PARTS_68[name].landmarks]
    assert weak == list(GROUPS_68["weak"])


def test_eyes_and_lips_are_closed_curves():
    closed = {name for name, part in PARTS_68.items() if part.closed}
    assert closed == {"left_eye", "right_eye", "outer_lips", "inner_lips"}


def test_the_norms_eyes_are_the_parts():
    left, right = EYE_INDICES_68["inter_pupil"]
    assert left + right == GROUPS_68["eyes"]
    assert EYE_INDICES_68["inter_ocular"] == ((36,), (45,))
    assert OUTER_EYE_CORNERS_68[0] in left and OUTER_EYE_CORNERS_68[1] in right


@pytest.mark.parametrize("num_keypoints", [19, 68])
def test_landmark_groups(num_keypoints):
    groups = landmark_groups(num_keypoints)
    assert groups["all"] == list(range(num_keypoints))
    expected = list(GROUPS_68) if num_keypoints == 68 else ["all"]
    assert list(groups) == expected
