"""Frames of a video by number, exactly, with OpenCV.

OpenCV's seek was the only one of three libraries that met the right frame in every
file of ``benchmarks/video_reading.py`` (decord missed most frames of MPEG-4 and H.264
files with B-frames; PyAV gives such AVI files no usable time stamps). It is checked
nevertheless, for each video, when the index is built: :func:`scan_video`.
"""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np

NEAR = 12  # frames that are faster passed over than sought
NUM_PROBES = 5


class VideoError(ValueError):
    """A video that is missing, cannot be decoded or is not what its index says."""


@dataclass
class VideoFacts:
    """What :func:`scan_video` found.

    Attributes:
        num_frames: Frames that can be decoded, counted.
        promised: Frames that the file's header names; 0 if it names none.
        width, height: Of the frames, pixels.
        fps: Nominal frames per second.
        seekable: Whether seeking found the right frame at every probe.
        variable_rate: Whether the time between frames varies.
    """

    num_frames: int
    promised: int
    width: int
    height: int
    fps: float
    seekable: bool
    variable_rate: bool


def _open(path: str | os.PathLike) -> cv2.VideoCapture:
    if not os.path.isfile(path):
        raise VideoError(f"{path}: no such video")
    # One thread: data loading workers are parallel already.
    options = [cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise VideoError(f"{path}: not a video that OpenCV can open")
    return capture


def _checksum(frame: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(frame[::4, ::4]))


def scan_video(path: str | os.PathLike) -> VideoFacts:
    """Count a video's frames by decoding it, and try whether seeking is exact.

    Raises:
        VideoError: If not one frame can be decoded.
    """
    capture = _open(path)
    promised = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    wanted = np.linspace(0, max(promised, 2) - 1, NUM_PROBES).astype(int).tolist()
    probes, times = {}, []
    number = 0
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        if number in wanted:
            read, frame = capture.retrieve()
            if read:
                probes[number] = _checksum(frame)
        number += 1
    capture.release()
    if not number:
        raise VideoError(f"{path}: not one frame can be decoded")
    steps = np.diff(times)
    variable = bool(len(steps) > 2 and np.ptp(steps) > 0.5 * np.median(steps))
    seekable = True
    if number > 1:
        reader = VideoFrames(path, number)
        for probe in reversed(probes):
            try:
                seekable &= _checksum(reader.read(probe, seek=True)) == probes[probe]
            except VideoError:
                seekable = False
    return VideoFacts(number, promised, width, height, fps, seekable, variable)


class VideoFrames:
    """An open video whose frames are read by number, from 0.

    Reading on in order decodes each frame once; a frame a little ahead is reached by
    decoding, any other by seeking, or, if the video is not ``seekable``, from the
    start.

    Args:
        path: The video.
        num_frames: As :func:`scan_video` counted.
        seekable: As it found.
    """

    def __init__(
        self, path: str | os.PathLike, num_frames: int, seekable: bool = True
    ) -> None:
        self.path, self.num_frames, self.seekable = path, num_frames, seekable
        self._capture = _open(path)
        self._next = 0

    def read(self, number: int, seek: bool | None = None) -> np.ndarray:
        """Frame ``number``, ``(H, W, 3)`` uint8, BGR.

        Args:
            number: From 0.
            seek: Force or forbid a seek; by default as needed.

        Raises:
            VideoError: If it cannot be decoded.
        """
        if not 0 <= number < self.num_frames:
            raise VideoError(
                f"{self.path}: frame {number} (from 0) of a video of "
                f"{self.num_frames} frames"
            )
        ahead = number - self._next
        if seek is None:
            seek = self.seekable and not 0 <= ahead <= NEAR
        if seek:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        else:
            if ahead < 0:
                self._capture.release()
                self._capture = _open(self.path)
                self._next, ahead = 0, number
            for _ in range(ahead):
                self._capture.grab()
        read, frame = self._capture.read()
        if not read:
            self._next = self.num_frames + 1  # look for the next frame anew
            raise VideoError(
                f"{self.path}: frame {number} (from 0) cannot be decoded; the video "
                f"had {self.num_frames} frames when it was indexed"
            )
        self._next = number + 1
        return frame

    def close(self) -> None:
        self._capture.release()


class VideoPool:
    """A few open videos, the least recently used closed first.

    Each process opens its own: decoders do not survive a fork, nor a pickle.

    Args:
        max_open: How many.
    """

    def __init__(self, max_open: int = 4) -> None:
        if max_open < 1:
            raise ValueError(f"max_open is {max_open}; expected at least 1")
        self.max_open = max_open
        self._open: OrderedDict[str, VideoFrames] = OrderedDict()
        self._process = os.getpid()

    def read(self, path: str, number: int, facts: VideoFacts) -> np.ndarray:
        """Frame ``number``, from 0, of a video."""
        if self._process != os.getpid():
            # Kept: to close a decoder whose threads the fork left behind may hang.
            self._inherited = self._open
            self._open = OrderedDict()
            self._process = os.getpid()
        video = self._open.pop(path, None)
        if video is None:
            video = VideoFrames(path, facts.num_frames, facts.seekable)
            while len(self._open) >= self.max_open:
                self._open.popitem(last=False)[1].close()
        self._open[path] = video
        return video.read(number)

    def __getstate__(self) -> dict:
        return dict(max_open=self.max_open)

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def __deepcopy__(self, memo) -> VideoPool:
        return VideoPool(self.max_open)
