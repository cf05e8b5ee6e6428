"""Procedural videos of moving faces, their truth, and a model of their annotators.

A face of :mod:`~semamb_mm.synthetic.faces` turns, nods, comes nearer,
talks, smiles and blinks, under light that changes slowly. The person and the camera
stay the same throughout; background and the skin's grain stand still in the image,
the sensor's noise is new in every frame.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from semamb_mm.faces.landmarks import NUM_LANDMARKS
from semamb_mm.formats.files import atomic_folder, atomic_write
from semamb_mm.formats.pts import write_pts

from .annotators import AnnotationNoise, displace_by, get_noise, misplace
from .develop import develop
from .painter import FacePainter
from .scene import Moment
from .shape import Expression

PARAMETERS_FILE = "synthetic.json"
# Kinds of random numbers; 1 and 2 are those of single faces.
_PERSON, _MOTION, _PARTS, _CAMERA, _GRAIN, _ANNOTATOR, _OCCLUDER = range(3, 10)
_ANGLE_LIMITS = np.deg2rad([38.0, 16.0, 25.0])  # yaw, pitch, roll
_ANGLE_SPREADS = np.deg2rad([12.0, 5.0, 5.0])
_BORDER = 0.04  # of the image that no landmark enters


class SyntheticVideo:
    """Video number ``index`` of the world ``seed``; the same arguments, the same video.

    Args:
        seed: The population; different seeds share no face.
        index: The video, which is one person.
        num_frames: Its length.
        image_size: Side of the square frames in pixels.
        fps: Frames a second, by which the motion is timed.
        occlusion: Chance that something hides a part of the face for up to a third of
            the video.

    Raises:
        ValueError: On numbers out of range.
    """

    def __init__(
        self,
        seed: int,
        index: int,
        num_frames: int,
        image_size: int = 160,
        fps: float = 25.0,
        occlusion: float = 0.2,
    ) -> None:
        if seed < 0 or index < 0 or num_frames < 1:
            raise ValueError(
                "expected seed and index >= 0 and num_frames >= 1, got "
                f"{seed}, {index} and {num_frames}"
            )
        if image_size < 32 or image_size % 2:
            raise ValueError(
                f"image_size is {image_size}; expected an even number of at least 32 "
                "pixels, as video needs"
            )
        if not fps > 0 or not 0 <= occlusion <= 1:
            raise ValueError(
                "expected fps > 0 and occlusion as a share, 0 to 1, got "
                f"{fps} and {occlusion}"
            )
        self.seed, self.index = seed, index
        self.num_frames, self.image_size, self.fps = num_frames, image_size, fps
        rng = self._rng(_OCCLUDER)
        self.occluded_frames = range(0)
        if rng.random() < occlusion:
            length = max(1, round(rng.uniform(0.1, 0.33) * num_frames))
            first = int(rng.integers(num_frames - length + 1))
            self.occluded_frames = range(first, first + length)

    def __len__(self) -> int:
        return self.num_frames

    def _rng(self, *kind: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.index, *kind])

    def _artist(self, moment: Moment | None = None) -> FacePainter:
        return FacePainter(self._rng(_PERSON), self.image_size, moment)

    @cached_property
    def moments(self) -> list[Moment]:
        """Expression, pose and light of every frame."""
        rng = self._rng(_MOTION)
        person = self._artist()
        times = np.arange(self.num_frames) / self.fps
        still, size = person.shape.expression, self.image_size

        angles = np.array(person.camera.angles)[:, None] / 2
        angles = angles + _ANGLE_SPREADS[:, None] * _wander(rng, times, 3)
        limits = _ANGLE_LIMITS[:, None]
        angles = limits * np.tanh(angles / limits)
        scales = person.camera.scale * (1 + 0.06 * _wander(rng, times)[0])
        offsets = person.camera.offset[:, None] + 0.04 * size * _wander(rng, times, 2)

        smiles = np.clip(still.smile + 0.35 * _wander(rng, times)[0], -0.3, 1)
        syllables = rng.uniform(1.5, 3.5) * times + rng.random()
        talking = np.clip(_wander(rng, times)[0], 0, None)
        openings = 0.12 * talking * (1 + np.sin(2 * np.pi * syllables))
        openings = np.clip(openings, 0, 0.65)
        raised = np.clip(still.raised + 0.04 * _wander(rng, times)[0], -0.1, 0.1)
        lids = max(still.lids, 0.75) * (1 - 0.85 * _blinks(rng, times))
        gazes = np.tanh(_wander(rng, times, 2)) * [[0.09], [0.045]]
        lights = np.exp(0.3 * _wander(rng, times, 3))

        moments = [
            Moment(
                Expression(smiles[i], openings[i], raised[i], lids[i], gazes[:, i]),
                tuple(angles[:, i]),
                scales[i],
                offsets[:, i],
                lights[:, i],
            )
            for i in range(self.num_frames)
        ]
        return self._within_the_image(moments)

    def _within_the_image(self, moments: list[Moment]) -> list[Moment]:
        """Scale and shift the whole video alike: motion stays smooth."""
        placed = np.stack([self._artist(moment).keypoints for moment in moments])
        low, high = placed.min((0, 1)), placed.max((0, 1))
        border, last = _BORDER * self.image_size, self.image_size - 1
        factor = min(1.0, (last - 2 * border) / (high - low).max())
        # Rounding may leave the upper limit a hair below the lower one.
        lower, upper = border - factor * low, last - border - factor * high
        shift = np.clip(0.0, lower, np.maximum(lower, upper))
        return [
            m._replace(scale=factor * m.scale, offset=factor * m.offset + shift)
            for m in moments
        ]

    @cached_property
    def keypoints(self) -> np.ndarray:
        """The true landmarks of all frames, ``(num_frames, 68, 2)`` float32, pixels."""
        placed = [self._artist(moment).keypoints for moment in self.moments]
        return np.stack(placed).astype(np.float32)

    def frame(self, number: int) -> np.ndarray:
        """Return frame ``number``, from 0: ``(H, W, 3)`` uint8, BGR."""
        artist = self._artist(self.moments[number])
        artist.paint(lambda part: self._rng(_PARTS, part))
        if number in self.occluded_frames:
            artist.occlude(self._rng(_OCCLUDER, 1))
        return develop(
            self._rng(_CAMERA),
            artist.canvas.pixels,
            self.image_size,
            grain_rng=self._rng(_GRAIN, number),
        )

    def annotate(
        self,
        noise: str | dict | AnnotationNoise = "realistic",
        drift_share: float = 0.5,
        drift_frames: float = 12.0,
    ) -> np.ndarray:
        """Return what an annotator would have marked, see :func:`annotate_track`."""
        rng = self._rng(_ANNOTATOR)
        return annotate_track(
            self.keypoints, rng, get_noise(noise), drift_share, drift_frames
        )


def annotate_track(
    keypoints: np.ndarray,
    rng: np.random.Generator,
    noise: AnnotationNoise,
    drift_share: float,
    drift_frames: float,
) -> np.ndarray:
    """Move the true landmarks of successive frames to where they might be marked.

    The errors of a single frame are those of :func:`displace`. From frame to frame a
    part of them persists, as annotators of video correct what a tracker carried on:
    each of :func:`displace`'s random numbers is the sum of white noise and of a
    first-order autoregressive process.

    Args:
        keypoints: (T, 68, 2), the truth in pixels.
        rng: The annotator's random numbers.
        noise: Standard deviations in a single frame.
        drift_share: Share of the variance that persists, 0 to 1.
        drift_frames: Frames after which the correlation of that part has fallen to
            1/e.

    Returns:
        (T, 68, 2) float32 in pixels.

    Raises:
        ValueError: On a share or a number of frames out of range.
    """
    if not 0 <= drift_share <= 1 or not drift_frames > 0:
        raise ValueError(
            "expected drift_share as a share, 0 to 1, and drift_frames > 0, got "
            f"{drift_share} and {drift_frames}"
        )
    numbers = 2 * NUM_LANDMARKS + 1
    white = rng.standard_normal((len(keypoints), numbers))
    steps = rng.standard_normal((len(keypoints), numbers))
    drift = steps.copy()
    keep = np.exp(-1 / drift_frames)
    for i in range(1, len(drift)):
        drift[i] = keep * drift[i - 1] + np.sqrt(1 - keep**2) * steps[i]
    errors = np.sqrt(1 - drift_share) * white + np.sqrt(drift_share) * drift
    annotated = [
        displace_by(truth, error[:-1].reshape(NUM_LANDMARKS, 2), error[-1], noise)
        for truth, error in zip(keypoints, errors)
    ]
    return np.stack([misplace(points, rng, noise) for points in annotated])


def write_video_tree(
    folder: str | os.PathLike,
    num_videos: int,
    num_frames: int,
    seed: int = 0,
    image_size: int = 160,
    fps: float = 25.0,
    occlusion: float = 0.2,
    noise: str | dict | AnnotationNoise = "realistic",
    drift_share: float = 0.5,
    drift_frames: float = 12.0,
) -> Iterator[str]:
    """Write procedural videos in 300-VW's layout, one at each step.

    ``<id>/vid.avi`` (Motion JPEG), ``<id>/annot/000001.pts`` as annotated and
    ``<id>/truth/000001.pts``, with the ids ``s000``, ``s001``, ...:
    :class:`Face300VWVideoDataset` reads it with ``ids=[...]``. A video appears whole
    or not at all, and is kept if it is there; ``synthetic.json`` tells whether it is
    the same.

    Args:
        folder: Where; made if need be.
        num_videos: How many videos.
        num_frames: How many frames each.
        seed: See :class:`SyntheticVideo`, as for the next three.
        image_size: Side of the square frames in pixels.
        fps: Frames a second.
        occlusion: Chance that something hides a part of the face for a while.
        noise: See :func:`annotate_track`, as for the next two.
        drift_share: Share of the annotator's variance that persists.
        drift_frames: Frames after which its correlation has fallen to 1/e.

    Yields:
        str: The id of each video, when it is there.

    Raises:
        ValueError: If the folder holds videos of other arguments.
        OSError: If OpenCV cannot write the video.
    """
    if num_videos < 1:
        raise ValueError(f"num_videos is {num_videos}; expected at least 1")
    folder = Path(folder)
    film = (num_frames, image_size, fps, occlusion)
    names = ("num_frames", "image_size", "fps", "occlusion")
    annotator = dict(drift_share=drift_share, drift_frames=drift_frames)
    parameters = dict(
        zip(names, film), seed=seed, noise=asdict(get_noise(noise)), **annotator
    )
    _agree_on(folder / PARAMETERS_FILE, parameters)
    for index in range(num_videos):
        name = f"s{index:03d}"
        if not (folder / name).exists():
            video = SyntheticVideo(seed, index, *film)
            _write_video(video, video.annotate(noise, **annotator), folder / name)
        yield name


def _agree_on(path: Path, parameters: dict) -> None:
    """Write the parameters, or find that they are those of before."""
    if not path.exists():
        with atomic_write(path) as file:
            json.dump(parameters, file, indent=2)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    for name in parameters:
        if before.get(name) != parameters[name]:
            raise ValueError(
                f"{path}: the videos here were made with {name}="
                f"{before.get(name)!r}, not {parameters[name]!r}; name another folder"
            )


def _write_video(video: SyntheticVideo, annotations: np.ndarray, folder: Path) -> None:
    with atomic_folder(folder) as unfinished:
        for part, tracks in (("annot", annotations), ("truth", video.keypoints)):
            (unfinished / part).mkdir()
            for number, keypoints in enumerate(tracks, 1):
                write_pts(unfinished / part / f"{number:06d}.pts", keypoints)
        path = unfinished / "vid.avi"
        size = (video.image_size, video.image_size)
        code = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), code, video.fps, size)
        if not writer.isOpened():
            raise OSError(f"OpenCV cannot write Motion JPEG to {path}")
        for number in range(len(video)):
            writer.write(video.frame(number))
        writer.release()


def _wander(
    rng: np.random.Generator, times: np.ndarray, count: int = 1, waves: int = 4
) -> np.ndarray:
    """Return ``(count, T)`` smooth functions of unit variance: waves of 2 to 20 s."""
    frequency = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (count, waves, 1)))
    phase = rng.uniform(0, 2 * np.pi, (count, waves, 1))
    return np.sqrt(2 / waves) * np.sin(2 * np.pi * frequency * times + phase).sum(1)


def _blinks(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Return ``(T,)`` from 0, eyes open, to 1; a blink takes a quarter of a second."""
    closed = np.zeros(len(times))
    at = rng.exponential(2.0)
    while at < times[-1] + 0.12:
        closed = np.maximum(
            closed, np.cos(np.clip((times - at) / 0.24, -0.5, 0.5) * np.pi) ** 2
        )
        at += 0.8 + rng.exponential(2.5)
    return closed
