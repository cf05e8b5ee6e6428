"""Generated people in COCO's layout: images, noisy annotations, the true joints.

Limbs change colour at elbow and knee, and end in hands and feet, so that an image shows
where its joints are. Annotators err as much as COCO's own did where several of them
annotated the same people (the ``sigmas`` of object keypoint similarity), thrice as far
along a limb as across it.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from semamb_mm.formats.files import atomic_folder

SIZE = 192  # of an image, pixels
SIDES = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = ["nose", *(f"{side}_{part}" for part in SIDES for side in ("left", "right"))]
# RMS difference from other annotators over the square root of the person's area.
SIGMAS = np.repeat(
    (0.026, 0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089),
    (1, 2, 2, 2, 2, 2, 2, 2, 2),
)
# The two joints that say in which direction a joint slides.
LIMB_OF = {5: (5, 7), 6: (6, 8), 7: (5, 9), 8: (6, 10), 9: (7, 9), 10: (8, 10)} | {
    11: (11, 13),
    12: (12, 14),
    13: (11, 15),
    14: (12, 16),
    15: (13, 15),
    16: (14, 16),
}
ELONGATION = 3.0
COVERED = 0.15  # share of figures of which the legs cannot be seen
MISSING = 0.05  # share of the joints without a label


def write_figures(root: Path, count: int, seed: int) -> None:
    """Write a folder as COCO's, for training; nothing if it exists.

    Args:
        root: The folder: ``train2017``, ``annotations``, and ``truth.json`` with joints
            and height of each annotation's id.
        count: Number of images, one figure each.
        seed: Of figures and annotators.
    """
    if root.exists():
        return
    rng = np.random.default_rng(seed)
    with atomic_folder(root) as folder:
        (folder / "train2017").mkdir()
        (folder / "annotations").mkdir()
        content = dict(
            images=[],
            annotations=[],
            categories=[dict(id=1, name="person", keypoints=NAMES, skeleton=[])],
        )
        truth = {}
        for i in range(1, count + 1):
            joints, height = pose(rng)
            covered = rng.random() < COVERED
            image = draw(joints, height, covered, rng)
            name = f"{i:012d}.jpg"
            cv2.imwrite(str(folder / "train2017" / name), image)
            content["images"].append(
                dict(id=i, file_name=name, width=SIZE, height=SIZE)
            )
            content["annotations"].append(
                dict(annotate(joints, height, covered, rng), id=i, image_id=i)
            )
            truth[i] = dict(joints=joints.round(4).tolist(), height=round(height, 4))
        for path, data in (
            ("annotations/person_keypoints_train2017.json", content),
            ("truth.json", truth),
        ):
            (folder / path).write_text(json.dumps(data))


def _turned(angle: float) -> np.ndarray:
    """Return the unit vector that hangs down, turned towards the image's right."""
    return np.array([np.sin(angle), np.cos(angle)])


def pose(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return joints ``(17, 2)``, image pixels, of a person who faces the camera."""
    height = rng.uniform(110, 150)
    down = _turned(rng.normal(0, 0.12))
    right = np.array([down[1], -down[0]])  # of the image: the person's left
    pelvis = np.array([0.5, 0.52]) * SIZE + rng.normal(0, 4, 2)
    neck = pelvis - 0.29 * height * down
    head = neck - 0.1 * height * _turned(rng.normal(0, 0.15) + np.arctan2(*down))
    look = rng.uniform(-0.35, 0.35) * 0.055 * height
    joints = np.zeros((17, 2))
    joints[0] = head + look * right + 0.012 * height * down
    for side, sign in ((0, 1.0), (1, -1.0)):
        joints[1 + side] = head + (look + sign * 0.024 * height) * right
        joints[1 + side] -= 0.014 * height * down
        joints[3 + side] = head + sign * 0.055 * height * right
        joints[5 + side] = neck + sign * 0.1 * height * right
        joints[11 + side] = pelvis + sign * 0.065 * height * right
        arm = sign * rng.uniform(-0.3, 2.4)
        leg = sign * rng.normal(0.12, 0.25)
        bends = sign * rng.uniform(-0.3, 1.9), sign * rng.uniform(-0.6, 0.4)
        for first, angle, bend, lengths in (
            (5, arm, bends[0], (0.17, 0.15)),
            (11, leg, bends[1], (0.23, 0.22)),
        ):
            joint = joints[first + side]
            for k, length in enumerate(lengths):
                joint = joint + length * height * _turned(angle + k * bend)
                joints[first + 2 * (k + 1) + side] = joint
    return joints, height


def draw(
    joints: np.ndarray, height: float, covered: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return an image ``(SIZE, SIZE, 3)`` uint8 of a figure."""
    image = cv2.resize(
        rng.uniform(0, 255, (6, 6, 3)).astype(np.float32), (SIZE, SIZE)
    ).astype(np.uint8)
    skin, shirt, trousers, shoes = (rng.integers(0, 256, 3).tolist() for _ in range(4))
    for side in (0, 1):
        hip, knee, ankle = (joints[i + side] for i in (11, 13, 15))
        _limb(image, hip, knee, 0.045 * height, 0.034 * height, trousers)
        _limb(image, knee, ankle, 0.032 * height, 0.022 * height, skin)
        outward = np.array([0.03 * height * (1 - 2 * side), 0.015 * height])
        _limb(image, ankle, ankle + outward, 0.022 * height, 0.018 * height, shoes)
    torso = joints[[5, 6, 12, 11]]
    middle = torso.mean(0)
    _polygon(image, middle + 1.12 * (torso - middle), shirt)
    for side in (0, 1):
        shoulder, elbow, wrist = (joints[i + side] for i in (5, 7, 9))
        _limb(image, shoulder, elbow, 0.034 * height, 0.026 * height, shirt)
        _limb(image, elbow, wrist, 0.024 * height, 0.018 * height, skin)
        hand = wrist + 0.25 * (wrist - elbow)
        _limb(image, wrist, hand, 0.024 * height, 0.02 * height, shoes)
    _head(image, joints, height, skin)
    if covered:
        top = int(joints[[11, 12], 1].max() + 0.08 * height)
        image[top:] = rng.integers(0, 256, 3)
    noise = rng.normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def annotate(
    joints: np.ndarray, height: float, covered: bool, rng: np.random.Generator
) -> dict:
    """Return what an annotator makes of a figure, as COCO's files hold it."""
    low, high = joints.min(0) - 0.04 * height, joints.max(0) + 0.04 * height
    low, high = low.clip(0), high.clip(max=SIZE - 1)
    area = 0.53 * float(np.prod(high - low))
    points = joints + np.sqrt(area) * slips(joints, rng)
    visible = np.where(rng.random(17) < MISSING, 0, 2)
    if covered:
        visible[13:] = 0
    rows = np.concatenate([points, visible[:, None]], 1) * (visible > 0)[:, None]
    return dict(
        category_id=1,
        keypoints=rows.round(3).ravel().tolist(),
        num_keypoints=int((visible > 0).sum()),
        bbox=[*low.round(2).tolist(), *(high - low).round(2).tolist()],
        area=area,
        iscrowd=0,
    )


def slips(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return annotators' errors ``(17, 2)`` over the square root of the area."""
    errors = SIGMAS[:, None] * rng.normal(0, np.sqrt(0.5), (17, 2))
    across = np.sqrt(2 / (1 + ELONGATION**2))
    for joint, (one, other) in LIMB_OF.items():
        along = joints[other] - joints[one]
        along = along / max(np.linalg.norm(along), 1e-6)
        first, second = errors[joint]
        errors[joint] = across * (
            ELONGATION * first * along + second * np.array([-along[1], along[0]])
        )
    return errors


def _polygon(image: np.ndarray, points: np.ndarray, colour: list[int]) -> None:
    fixed = (points * 16).round().astype(np.int32)
    cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, shift=4)


def _limb(image, start, end, width, end_width, colour) -> None:
    """Draw a tapering limb from joint to joint, half widths in pixels."""
    along = (end - start) / max(np.linalg.norm(end - start), 1e-6)
    across = np.array([-along[1], along[0]])
    corners = [
        start + width * across,
        end + end_width * across,
        end - end_width * across,
        start - width * across,
    ]
    _polygon(image, np.array(corners), colour)


def _head(image, joints, height, skin) -> None:
    nose, eyes, ears = joints[0], joints[1:3], joints[3:5]
    dark = [c // 3 for c in skin]
    neck = joints[[5, 6]].mean(0)
    _limb(image, neck, ears.mean(0), 0.025 * height, 0.025 * height, skin)
    angle = np.linspace(0, 2 * np.pi, 32)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    _polygon(image, ears.mean(0) + height * circle * (0.055, 0.07), skin)
    for ear in ears:
        _polygon(image, ear + 0.012 * height * circle, skin)
    for eye in eyes:
        _polygon(image, eye + 0.009 * height * circle, dark)
    _polygon(image, nose + 0.008 * height * circle, dark)
