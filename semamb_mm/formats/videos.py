"""Frames of a video by number, exactly, with PyAV.

A frame is reached from the key frame before it, counting: time stamps are not relied
on, as those of AVI files with B-frames are wrong (``benchmarks/video_reading.py``).
:func:`scan_video` finds out once, by decoding, which packet holds which frame, and
tries whether beginning at a key frame gives the same pictures. Where only some frames
are wanted, the others are not decoded if no frame is made from them.
"""

from __future__ import annotations

import ctypes
import os
import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, dropwhile

import numpy as np

try:
    import av
    from av.codec.context import Flags
    from av.video.reformatter import VideoReformatter
except ImportError:  # only videos need it
    av = None  # type: ignore[assignment]

NUM_PROBES = 8
# Reads after which freed memory is given back to the system. glibc before 2.38 does not
# reuse aligned memory, such as decoders take: a worker grew by 17 MB for each of them.
TRIM_AFTER = 200
_malloc_trim = (
    getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
)


class VideoError(ValueError):
    """A video that is missing, cannot be decoded or is not what its index says."""


@dataclass
class VideoFacts:
    """What :func:`scan_video` found.

    Attributes:
        num_frames: Frames that can be decoded, counted.
        promised: Frames that the file's header or its packets name.
        certain: Frames from the first on between which none is missing: after them
            comes a gap in the time stamps or a packet that gave no picture.
        width, height: Of the frames, pixels.
        variable_rate: Whether the time between frames varies.
        damaged: Frames, from 0, that are decoded only in part, or made from such.
        keys: ``(K, 2)`` int64, number and time stamp of each key frame from which
            reading may begin; only the first if beginning at the others was found
            inexact.
        packets: ``(num_frames,)`` int64, number of the packet that holds each frame.
            Empty where frames that are not wanted have to be decoded all the same.
    """

    num_frames: int
    promised: int
    certain: int
    width: int
    height: int
    variable_rate: bool
    damaged: list[int]
    keys: np.ndarray = field(repr=False)
    packets: np.ndarray = field(repr=False)

    @property
    def seekable(self) -> bool:
        """Whether reading may begin elsewhere than at the start."""
        return len(self.keys) > 1

    @property
    def sound(self) -> set[int]:
        """Frames, from 0, whose picture is whole and whose number is beyond doubt."""
        if self.promised > self.num_frames or self.variable_rate:
            return set(range(self.certain))
        return set(range(self.num_frames)) - set(self.damaged)


def _open(path: str | os.PathLike):
    if av is None:
        raise ImportError(
            "reading videos needs PyAV: pip install av. Extracted frames do not: "
            "Face300VWFrameDataset"
        )
    if not os.path.isfile(path):
        raise VideoError(f"{path}: no such video")
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f"{path}: not a video that can be opened ({error})") from error
    # One thread: data loading workers are parallel already.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return container, stream


def _checksum(frame: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(frame[::4, ::4]).data)


def _stamp(packet) -> int | None:
    return packet.pts if packet.dts is None else packet.dts


def _packets(path: str | os.PathLike) -> list[tuple[int | None, int | None, bool]]:
    """Of each packet: its two time stamps, and whether it holds a key frame."""
    container, stream = _open(path)
    packets = []
    with container:
        try:
            for packet in container.demux(stream):
                if packet.size:
                    packets.append((packet.dts, _stamp(packet), packet.is_keyframe))
        except av.FFmpegError:
            pass  # cut short: what came before counts
    return packets


def _gaps(stamps: list[int | None]) -> tuple[bool, int]:
    """Whether the time between packets varies, and how many come before a gap."""
    unknown = stamps.count(None)
    steps = np.diff([stamp for stamp in stamps if stamp is not None])
    if len(steps) < 3:
        return False, len(stamps)
    usual = np.median(steps)
    wide = np.flatnonzero(steps > 1.5 * usual)
    before = unknown + 1 + int(wide[0]) if len(wide) else len(stamps)
    return bool(np.ptp(steps) > 0.5 * usual), before


def scan_video(path: str | os.PathLike) -> VideoFacts:
    """Count a video's frames by decoding it, and try whether seeking is exact.

    Raises:
        VideoError: If not one frame can be decoded.
    """
    packets = _packets(path)
    container, stream = _open(path)
    with container:
        promised = max(stream.frames, len(packets))
        wanted = set(np.linspace(0, promised - 1, NUM_PROBES).astype(int).tolist())
        count = _count(container, stream, packets, wanted)
        width, height = stream.width, stream.height
        reorders = stream.codec_context.has_b_frames
    if not count.frames:
        raise VideoError(f"{path}: not one frame can be decoded")
    delay = count.delay or 0
    variable_rate, before_gap = _gaps([packet[0] for packet in packets])
    key_numbers = [key for key, _ in count.keys]
    damaged = _damaged(count.corrupt, key_numbers, count.frames, delay)
    certain = count.frames if count.certain is None else count.certain
    if before_gap < len(packets):
        certain = min(certain, max(0, before_gap - delay))
    certain = min([certain, *damaged[:1]])
    facts = VideoFacts(
        num_frames=count.frames,
        promised=promised,
        certain=certain,
        width=width,
        height=height,
        variable_rate=variable_rate,
        damaged=damaged,
        keys=np.array(count.keys, np.int64),
        packets=np.array(count.packets if reorders else (), np.int64),
    )
    # The last first: each is sought.
    if facts.seekable and not _is_exact(path, facts, count.probes, reverse=True):
        facts.keys = facts.keys[:1]
    whole = (
        len(np.unique(facts.packets)) == facts.num_frames and min(facts.packets) >= 0
    )
    if not whole or not _is_exact(path, facts, count.probes, wanted=count.probes):
        facts.packets = facts.packets[:0]
    return facts


@dataclass
class _Count:
    """What decoding a video from its first packet to its last tells.

    Attributes:
        frames: How many.
        keys: Number and time stamp of the key frames, the first frame among them.
        corrupt: Numbers of the frames that the decoder calls corrupt.
        packets: Number of the packet that holds each frame; -1 if not known.
        probes: Frame number to checksum.
        delay: Least number of packets by which frames come later; None without one
            frame before the last packet.
        certain: Frames before the first packet that gave none; None if all gave one.
    """

    frames: int = 0
    keys: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    corrupt: list[int] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)
    probes: dict[int, int] = field(default_factory=dict)
    delay: int | None = None
    certain: int | None = None

    def add(self, frame, packets: list, wanted: set[int]) -> None:
        """Count a frame; ``wanted`` says which to take a checksum of."""
        if self.frames in wanted:
            self.probes[self.frames] = _checksum(frame.to_ndarray(format="bgr24"))
        if frame.is_corrupt:
            self.corrupt.append(self.frames)
        if self.frames and frame.key_frame and frame.opaque is not None:
            _, stamp, is_key = packets[frame.opaque]
            if is_key and stamp is not None:
                self.keys.append((self.frames, stamp))
        self.packets.append(-1 if frame.opaque is None else frame.opaque)
        self.frames += 1


def _count(container, stream, packets: list, wanted: set[int]) -> _Count:
    """Decode a whole video."""
    count = _Count()
    for fed, ended, frames in _decoded(container, stream):
        for frame in frames:
            count.add(frame, packets, wanted)
        # Packets less frames: grows where a packet gives no frame.
        if count.frames and not ended:
            lag = fed - count.frames
            count.delay = lag if count.delay is None else min(count.delay, lag)
            if lag > count.delay and count.certain is None:
                count.certain = count.frames
    return count


def _damaged(corrupt: list[int], keys: list[int], count: int, delay: int) -> list[int]:
    """The frames that decoders call corrupt, with all that are made from them."""
    damaged: set[int] = set()
    for number in corrupt:
        end = next((key for key in keys if key > number), count)
        damaged.update(range(max(0, number - delay), end))
    return sorted(damaged)


def _decoded(container, stream) -> Iterator[tuple[int, bool, list]]:
    """Packets decoded so far, whether there are no more, and the frames last given.

    Each frame's ``opaque`` is the number of the packet it came from. Stops at the first
    packet that cannot be decoded.
    """
    stream.codec_context.flags |= Flags.copy_opaque
    fed = 0
    try:
        for packet in container.demux(stream):
            if packet.size:
                packet.opaque = fed
                fed += 1
            yield fed, not packet.size, packet.decode()
    except av.FFmpegError:
        return


def _is_exact(
    path: str | os.PathLike,
    facts: VideoFacts,
    probes: dict[int, int],
    reverse: bool = False,
    wanted: Collection[int] | None = None,
) -> bool:
    """Whether frames that are read by number are those met in order."""
    reader = VideoFrames(path, facts, wanted)
    try:
        return all(
            _checksum(reader.read(number)) == probes[number]
            for number in sorted(probes, reverse=reverse)
        )
    except VideoError:
        return False
    finally:
        reader.close()


class VideoFrames:
    """An open video whose frames are read by number, from 0.

    Reading on in order decodes each frame once; any other frame is reached from the
    key frame before it.

    Args:
        path: The video.
        facts: As :func:`scan_video` found.
        wanted: Numbers of the frames that will be read; all by default. The others are
            not decoded where none that is wanted is made from them.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        facts: VideoFacts,
        wanted: Collection[int] | None = None,
    ) -> None:
        self.path, self.facts = path, facts
        self._key_numbers = np.ascontiguousarray(facts.keys[:, 0])
        self._reformatter = VideoReformatter()
        # Packets whose frame is decoded in any case; None: all.
        self._wanted: set[int] | None = None
        if wanted is not None and len(facts.packets):
            self._wanted = set(facts.packets[list(wanted)].tolist())
            self._number_of = {
                packet: number for number, packet in enumerate(facts.packets.tolist())
            }
        self._frames: Iterator
        self._next: int
        self._begin()

    def read(self, number: int) -> np.ndarray:
        """Frame ``number``, ``(H, W, 3)`` uint8, BGR.

        Raises:
            VideoError: If it cannot be decoded. Nothing may be read after it.
        """
        count = self.facts.num_frames
        if not 0 <= number < count:
            raise VideoError(
                f"{self.path}: frame {number} (from 0) of a video of {count} frames"
            )
        try:
            if self._is_unwanted(number):
                self._wanted = None
                self._begin_anew()
            if number != self._next:
                self._approach(number)
            current = self._next - 1
            while current < number:
                current, frame = next(self._frames)
                if frame.is_corrupt and not self._is_known(current, number):
                    raise VideoError(
                        f"{self.path}: frame {current} (from 0) is damaged: it can be "
                        "decoded only in part"
                    )
        except (StopIteration, av.FFmpegError) as error:
            raise VideoError(
                f"{self.path}: frame {number} (from 0) cannot be decoded; the video "
                f"had {count} frames when it was indexed"
            ) from error
        if current > number:
            raise VideoError(
                f"{self.path}: frame {number} (from 0) is lost; the video had {count} "
                "frames when it was indexed"
            )
        self._next = number + 1
        image = self._reformatter.reformat(frame, format="bgr24", threads=1)
        return image.to_ndarray()

    def _is_unwanted(self, number: int) -> bool:
        """Whether a frame may be passed over."""
        return (
            self._wanted is not None and self.facts.packets[number] not in self._wanted
        )

    def _is_known(self, current: int, number: int) -> bool:
        """Whether damage was there when the video was indexed, and is passed over."""
        return current < number and current in self.facts.damaged

    def _approach(self, number: int) -> None:
        """Let the next frame be ``number``, or a little before it."""
        nearest = np.searchsorted(self._key_numbers, number, side="right") - 1
        key, stamp = self.facts.keys[nearest].tolist()
        if key <= self._next <= number:
            return
        if key:
            self._container.seek(stamp, stream=self._stream)
            packets = self._container.demux(self._stream)
            packet = next(packets)
            if _stamp(packet) == stamp:
                # Frames before the key frame lack others that they are made from.
                self._frames = self._numbered(chain([packet], packets), key)
                self._next = key
                return
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.close()
        self._begin()

    def _begin(self) -> None:
        self._container, self._stream = _open(self.path)
        self._stream.codec_context.flags |= Flags.copy_opaque
        self._frames = self._numbered(self._container.demux(self._stream), 0)
        self._next = 0

    def _numbered(self, packets: Iterable, first: int) -> Iterator:
        """Yield frames with their numbers, ``first`` a key frame's or 0."""
        if self._wanted is None:
            frames = self._decode(packets)
            if first:
                frames = dropwhile(lambda frame: not frame.key_frame, frames)
            return enumerate(frames, first)
        fed = int(self.facts.packets[first]) if first else 0
        frames = self._decode(self._marked(packets, fed))
        numbered = ((self._number_of[frame.opaque[0]], frame) for frame in frames)
        return dropwhile(lambda item: item[0] < first, numbered)

    def _marked(self, packets: Iterable, fed: int) -> Iterator:
        """Number packets, from ``fed`` on, and let the decoder pass over some."""
        for packet in packets:
            if packet.size:
                # PyAV 18.1 tells opaque objects of all decoders apart by their address
                # alone, and small integers share one.
                packet.opaque = (fed,)
                needed = self._wanted is None or fed in self._wanted
                # NONREF: unless other frames are made from it.
                skip = "DEFAULT" if needed else "NONREF"
                self._stream.codec_context.skip_frame = skip
                fed += 1
            yield packet

    @staticmethod
    def _decode(packets: Iterable) -> Iterator:
        for packet in packets:
            yield from packet.decode()

    def close(self) -> None:
        """Close the file; nothing may be read after it."""
        self._container.close()


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
        self._reads = 0
        self._process = os.getpid()

    def read(
        self,
        path: str,
        number: int,
        facts: VideoFacts,
        wanted: Collection[int] | None = None,
    ) -> np.ndarray:
        """Frame ``number``, from 0, of a video; see :class:`VideoFrames`."""
        if self._process != os.getpid():
            # Kept: to close a decoder whose threads the fork left behind may hang.
            self._inherited = self._open
            self._open = OrderedDict()
            self._process = os.getpid()
        video = self._open.pop(path, None)
        if video is None:
            video = VideoFrames(path, facts, wanted)
            while len(self._open) >= self.max_open:
                self._open.popitem(last=False)[1].close()
        try:
            frame = video.read(number)
        except Exception:
            video.close()  # where it stands is unknown: opened anew next time
            raise
        self._open[path] = video
        self._reads += 1
        if _malloc_trim is not None and self._reads % TRIM_AFTER == 0:
            _malloc_trim(0)
        return frame

    def __getstate__(self) -> dict:
        return dict(max_open=self.max_open)

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __deepcopy__(self, memo) -> VideoPool:
        return VideoPool(self.max_open)
