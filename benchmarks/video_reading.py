"""Reading video frames by number: which library is exact, and how fast it is.

Writes videos whose frames carry their number (MJPEG, MPEG-4 and, with PyAV, H.264 with
B-frames, each as .avi) to a temporary folder and prints four tables, medians over
--repeats:

1. libraries that are installed (OpenCV, PyAV, decord): frames that a seek misses, and
   time a seek;
2. Face300VWVideoDataset, sequential, decode only, against OpenCV's plain loop;
3. shuffled reading with a stride against the same frames extracted as JPEGs, with the
   bytes that each takes;
4. memory of one process over --reads shuffled reads, and the time to open the index of
   a tree of --videos videos (copies of one, with their own annotations), first and
   second time.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semamb_mm.pose.datasets import Face300VWVideoDataset
from semamb_mm.pose.datasets.face_300vw import SPLITS
from semamb_mm.pose.datasets.pts_io import write_pts

BITS = 12


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", type=int, nargs=2, default=[640, 480])
    parser.add_argument("--stride", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reads", type=int, default=20000)
    parser.add_argument("--videos", type=int, default=114)
    return parser.parse_args()


def frame(number, size):
    """A moving picture with its number, from 0, in bars at the top."""
    width, height = size
    rng = np.random.default_rng(number // 25)
    image = rng.integers(0, 255, (height // 32, width // 32, 3), np.uint8)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.roll(image, 2 * number, axis=1)
    step = width // BITS
    for bit in range(BITS):
        image[:32, bit * step : (bit + 1) * step] = 255 if number >> bit & 1 else 0
    return image


def number_of(image):
    step = image.shape[1] // BITS
    bars = [image[8:24, i * step + 8 : (i + 1) * step - 8].mean() for i in range(BITS)]
    return sum(int(bar > 127) << bit for bit, bar in enumerate(bars))


def write_videos(folder, args):
    """Codec to .avi file."""
    videos = {}
    for codec in ("MJPG", "XVID"):
        path = folder / f"{codec}.avi"
        code = cv2.VideoWriter_fourcc(*codec)
        writer = cv2.VideoWriter(str(path), code, 25, tuple(args.size))
        for number in range(args.frames):
            writer.write(frame(number, args.size))
        writer.release()
        videos[codec] = path
    try:
        import av
    except ImportError:
        return videos
    path = folder / "H264.avi"
    with av.open(str(path), "w") as container:
        options = {"g": "60", "bf": "3"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = args.size
        stream.pix_fmt = "yuv420p"
        for number in range(args.frames):
            image = av.VideoFrame.from_ndarray(frame(number, args.size), format="bgr24")
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    videos["H264"] = path
    return videos


def opencv_reader(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])

    def read(number):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        return capture.read()[1]

    return read


def pyav_reader(path):
    import av

    container = av.open(str(path))
    stream = container.streams.video[0]
    stream.thread_type = "NONE"
    stamps = sorted(p.pts for p in container.demux(stream) if p.size)

    def read(number):
        container.seek(stamps[number], stream=stream, backward=True)
        for image in container.decode(stream):
            if image.pts is None or image.pts >= stamps[number]:
                return image.to_ndarray(format="bgr24")
        return None

    return read


def decord_reader(path):
    import decord

    video = decord.VideoReader(str(path), num_threads=1)
    return lambda number: video[number].asnumpy()[..., ::-1]


def compare_libraries(videos, args):
    print("codec  library   missed   ms a seek")
    order = random.Random(0).sample(range(args.frames), min(100, args.frames))
    for codec, path in videos.items():
        for name, open_video in (
            ("OpenCV", opencv_reader),
            ("PyAV", pyav_reader),
            ("decord", decord_reader),
        ):
            try:
                read = open_video(path)
            except ImportError:
                continue
            start, missed = time.perf_counter(), 0
            for number in order:
                try:
                    image = read(number)
                    missed += image is None or number_of(image) != number
                except Exception:  # a library's own error counts as a miss
                    missed += 1
            elapsed = 1000 * (time.perf_counter() - start) / len(order)
            print(f"{codec:5}  {name:7}  {missed:3}/{len(order)}  {elapsed:9.2f}")


def make_tree(folder, path, ids, frames):
    points = np.stack(np.meshgrid(np.arange(17), np.arange(4)), -1).reshape(-1, 2)
    for number, video in enumerate(ids):
        annot = folder / video / "annot"
        annot.mkdir(parents=True)
        if number:
            shutil.copytree(folder / ids[0] / "annot", annot, dirs_exist_ok=True)
        else:
            for index in range(1, frames + 1):
                write_pts(annot / f"{index:06d}.pts", 8.0 * points + index % 50)
        (folder / video / "vid.avi").symlink_to(path)
    return folder


def rate(function, count, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return count / statistics.median(times)


def compare_reading(folder, videos, args):
    print("\ncodec  plain loop, frames/s  dataset  ratio")
    datasets = {}
    for codec, path in videos.items():
        root = make_tree(folder / codec, path, ["001"], args.frames)
        dataset = datasets[codec] = Face300VWVideoDataset(str(root), ids=["001"])

        def plain(path=path):
            capture = cv2.VideoCapture(
                str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]
            )
            while capture.read()[0]:
                pass

        def ours(dataset=dataset):
            for index in range(len(dataset)):
                dataset.get_data_info(index)

        loop, own = (rate(f, args.frames, args.repeats) for f in (plain, ours))
        print(f"{codec:5}  {loop:20.0f}  {own:7.0f}  {own / loop:.2f}")

    print(
        f"\ncodec  shuffled, stride {args.stride}: frames/s  JPEGs  ratio  size ratio"
    )
    for codec, path in videos.items():
        jpegs = folder / f"{codec}_jpegs"
        jpegs.mkdir()
        for number in range(args.frames):
            cv2.imwrite(str(jpegs / f"{number}.jpg"), frame(number, args.size))
        order = list(range(0, args.frames, args.stride))
        random.Random(0).shuffle(order)

        def ours(dataset=datasets[codec], order=order):
            for number in order:
                dataset.get_data_info(number)

        def files(jpegs=jpegs, order=order):
            for number in order:
                cv2.imread(str(jpegs / f"{number}.jpg"))

        own, images = (rate(f, len(order), args.repeats) for f in (ours, files))
        size = sum(p.stat().st_size for p in jpegs.iterdir()) / path.stat().st_size
        print(
            f"{codec:5}  {own:31.0f}  {images:5.0f}  {own / images:.2f}   1:{size:.0f}"
        )
    return datasets


def resident_megabytes():
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / 2**20


def watch_memory(dataset, reads):
    order = random.Random(0)
    print("\nreads  memory, MB")
    for count in range(reads + 1):
        dataset.get_data_info(order.randrange(len(dataset)))
        if count % (reads // 4) == reads // 50 or count == reads:
            print(f"{count:5}  {resident_megabytes():.1f}")


def time_index(folder, path, args):
    ids = (*SPLITS["train"], *SPLITS["test"])[: args.videos]
    root = make_tree(folder / "tree", path, ids, args.frames)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        dataset = Face300VWVideoDataset(str(root), ids=ids)
        times.append(time.perf_counter() - start)
    print(
        f"\nindex of {len(ids)} videos, {len(dataset)} frames: first time "
        f"{times[0]:.1f} s, second time {times[1]:.2f} s"
    )


def main():
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        videos = write_videos(folder, args)
        compare_libraries(videos, args)
        datasets = compare_reading(folder, videos, args)
        watch_memory(datasets["XVID"], args.reads)
        time_index(folder, videos["XVID"], args)


if __name__ == "__main__":
    main()
