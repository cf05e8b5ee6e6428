"""Small trees in 300-VW's layout, whose frames carry their own number."""

from pathlib import Path

import cv2
import numpy as np

from semamb_mm.formats.pts import write_pts

BITS = 10
SIZE = (160, 120)
# open: B-frames just before a key frame are made from it and from the one before.
CODECS = {
    "MJPEG": ("mjpeg", dict(strict="unofficial")),
    "MPEG-4": ("mpeg4", dict(g="12")),
    "MPEG-4 with B-frames, open": ("mpeg4", dict(g="12", bf="2")),
    "MPEG-4 with B-frames, closed": (
        "mpeg4",
        dict(g="12", bf="2", flags="+cgop", sc_threshold="1000000000"),
    ),
    "H.264 with B-frames": ("libx264", dict(g="20", bf="3")),
    "H.264 with B-frames, open": (
        "libx264",
        {"x264-params": "open-gop=1:keyint=23:bframes=3:b-adapt=0:scenecut=0"},
    ),
}


def numbered_frame(number: int) -> np.ndarray:
    """A frame that says its number, from 1, in black and white bars."""
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for bit in range(BITS):
        image[:24, 16 * bit : 16 * bit + 16] = 255 if number >> bit & 1 else 0
    return image


def read_number(image: np.ndarray) -> int:
    """What :func:`numbered_frame` wrote."""
    bars = [image[6:18, 16 * bit + 4 : 16 * bit + 12].mean() for bit in range(BITS)]
    return sum(int(bar > 127) << bit for bit, bar in enumerate(bars))


def landmarks(number: int) -> np.ndarray:
    """(68, 2): the first is at x = the frame's number, modulo the image."""
    points = np.stack(np.meshgrid(np.arange(17), np.arange(4)), -1).reshape(-1, 2)
    points = points * (4.0, 12.0) + (40, 40)
    points[0, 0] = number % 100 + 0.5
    return points


def write_video(path: Path, num_frames: int, codec: str = "MJPG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), code, 25, SIZE)
    assert writer.isOpened(), codec
    for number in range(1, num_frames + 1):
        writer.write(numbered_frame(number))
    writer.release()


def encode_video(
    path: Path, num_frames: int, codec: str, options: dict, stamps=None
) -> None:
    """With PyAV, which can write B-frames; ``stamps``: frame's number to its time."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(1, num_frames + 1):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="bgr24")
            if stamps is not None:
                frame.pts = stamps(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def packet_place(path: Path, number: int) -> tuple[int, int]:
    """First byte of a packet in an .avi file, and how many it has."""
    import av

    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    return packets[number].pos + 8, packets[number].size


def damage_packet(path: Path, number: int) -> None:
    """Overwrites the second half of a packet with zeros, in place."""
    start, size = packet_place(path, number)
    with open(path, "r+b") as file:
        file.seek(start + size // 2)
        file.write(bytes(size - size // 2))


def write_annotations(folder: Path, numbers) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        write_pts(folder / f"{number:06d}.pts", landmarks(number))


def write_tree(root: Path, videos: dict, codec: str = "MJPG") -> Path:
    """``videos``: id to its number of frames."""
    for video, num_frames in videos.items():
        write_video(root / video / "vid.avi", num_frames, codec)
        write_annotations(root / video / "annot", range(1, num_frames + 1))
    return root


def extract(root: Path, video: str, numbers, suffix: str = ".png") -> None:
    """Frames as images, beside the video."""
    folder = root / video / "imgs"
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        assert cv2.imwrite(
            str(folder / f"{number:06d}{suffix}"), numbered_frame(number)
        )
