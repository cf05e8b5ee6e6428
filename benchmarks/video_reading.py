"""Reading video frames by number: which library is exact, and how fast it is.

Writes .avi videos whose frames carry their number, in several codecs, with key frames
every 12 or 250 frames, to a temporary folder and prints

1. libraries that are installed (OpenCV, PyAV by time stamps, decord) and this package:
   frames that a seek misses, and CPU time a seek;
2. Face300VWVideoDataset, sequential, frames alone and whole samples, against PyAV's
   and OpenCV's plain loops, all of them to BGR arrays, and the frames per second of
   building its index;
3. shuffled reading of 8 videos: with a stride, in DefaultSampler's order and in
   VideoShuffleSampler's, and of whole stretches instead, as many samples an epoch;
   against frames extracted as JPEGs, as extract_300vw.py writes them, with the bytes
   that each takes;
4. memory of a data loading worker over --reads shuffled reads of 8 videos;
5. the time to open the index of a tree of --videos videos of 160 x 120 pixels with
   --annotations .pts files each, the first and the second time.

Rates are frames per second of CPU time, the median of --repeats in turn: other work on
the machine disturbs them little.
"""

import random
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from mmengine.dataset import DefaultSampler, pseudo_collate
from torch.utils.data import DataLoader

from semamb_mm.formats.layout_300vw import SPLITS
from semamb_mm.formats.pts import write_pts
from semamb_mm.formats.videos import VideoFrames, scan_video
from semamb_mm.pose.datasets import Face300VWVideoDataset
from semamb_mm.pose.samplers import VideoShuffleSampler

from .timing import benchmark_parser, in_turn

BITS = 12
STREAMS = 8
# Encoder, bits per second at 640 x 480, options.
CODECS = {
    "MJPEG": ("mjpeg", 20e6, dict(strict="unofficial")),
    "MPEG-4, 12": ("mpeg4", 2e6, dict(g="12")),
    "MPEG-4 B, 12": ("mpeg4", 2e6, dict(g="12", bf="2")),
    "MPEG-4 B, 250": ("mpeg4", 2e6, dict(g="250", bf="2")),
    "H.264 B, 12": ("libx264", 2e6, dict(g="12", bf="3")),
    "H.264 B, 250": ("libx264", 2e6, dict(g="250", bf="3")),
}


def parse_args():
    """Read the command line."""
    parser = benchmark_parser(__doc__, repeats=5)
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", type=int, nargs=2, default=[640, 480])
    parser.add_argument("--stride", type=int, default=6)
    parser.add_argument("--reads", type=int, default=20000)
    parser.add_argument("--videos", type=int, default=114)
    parser.add_argument("--annotations", type=int, default=1912)
    return parser.parse_args()


def frame(number, size):
    """A moving, noisy picture with its number, from 0, in bars at the top."""
    width, height = size
    rng = np.random.default_rng(number // 100)
    image = rng.integers(0, 255, (height // 32 + 1, width // 32 + 1, 3), np.uint8)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.roll(image, 2 * number, axis=1)
    grain = np.random.default_rng(number).normal(0, 2, image.shape)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    step = width // BITS
    for bit in range(BITS):
        image[:32, bit * step : (bit + 1) * step] = 255 if number >> bit & 1 else 0
    return image


def number_of(image):
    """Return the number that a frame carries."""
    step = image.shape[1] // BITS
    bars = [image[8:24, i * step + 3 : (i + 1) * step - 3].mean() for i in range(BITS)]
    return sum(int(bar > 127) << bit for bit, bar in enumerate(bars))


def write_video(path, frames, size, encoder, bit_rate, options):
    """Write a video whose frames carry their number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = int(bit_rate * size[0] * size[1] / (640 * 480))
        for number in range(frames):
            image = av.VideoFrame.from_ndarray(frame(number, size), format="bgr24")
            container.mux(stream.encode(image))
        container.mux(stream.encode())


def opencv_reader(path):
    """Return a function that reads a frame by its number with OpenCV."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])

    def read(number):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        return capture.read()[1]

    return read


def pyav_reader(path):
    """The usual way: by the presentation time stamps."""
    container = av.open(str(path))
    stream = container.streams.video[0]
    stream.thread_type = "NONE"
    stamps = sorted(p.pts for p in container.demux(stream) if p.size)

    def read(number):
        container.seek(stamps[number], stream=stream)
        for image in container.decode(stream):
            if image.pts is None or image.pts >= stamps[number]:
                return image.to_ndarray(format="bgr24")
        return None

    return read


def decord_reader(path):
    """Return a function that reads a frame by its number with decord."""
    import decord

    video = decord.VideoReader(str(path), num_threads=1)
    return lambda number: video[number].asnumpy()[..., ::-1]


def our_reader(path):
    """Return this package's function that reads a frame by its number."""
    return VideoFrames(path, scan_video(path)).read


def compare_libraries(videos, args):
    """Print the first table."""
    print("codec          library       missed   ms a seek")
    order = random.Random(0).sample(range(args.frames), min(100, args.frames))
    for codec, path in videos.items():
        for name, open_video in (
            ("OpenCV", opencv_reader),
            ("PyAV, stamps", pyav_reader),
            ("decord", decord_reader),
            ("this package", our_reader),
        ):
            try:
                read = open_video(path)
            except ImportError:
                continue
            start, missed = time.process_time(), 0
            for number in order:
                try:
                    image = read(number)
                    missed += image is None or number_of(image) != number
                except Exception:  # a library's own error counts as a miss
                    missed += 1
            elapsed = 1000 * (time.process_time() - start) / len(order)
            print(f"{codec:13}  {name:12}  {missed:3}/{len(order)}  {elapsed:9.2f}")


def make_tree(folder, path, ids, annotations):
    """Make a tree of 300-VW videos, links to one file."""
    points = np.stack(np.meshgrid(np.arange(17), np.arange(4)), -1).reshape(-1, 2)
    text = None
    for video in ids:
        annot = folder / video / "annot"
        annot.mkdir(parents=True)
        for index in range(1, annotations + 1):
            pts = annot / f"{index:06d}.pts"
            if text is None:
                write_pts(pts, 6.0 * points + 10.25)
                text = pts.read_text()
            pts.write_text(text)
        (folder / video / "vid.avi").symlink_to(path)
    return folder


def cpu_seconds(call, _device):
    """Return the CPU time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def rates(functions, counts, repeats):
    """Return counts a second of CPU time, the functions in turn, the median of each."""
    calls = {str(number): function for number, function in enumerate(functions)}
    times = in_turn(calls, repeats, clock=cpu_seconds, warm_up=0)
    return [count / median(taken) for count, taken in zip(counts, times.values())]


def pyav_loop(path):
    """Decode a video with PyAV's plain loop."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for image in container.decode(stream):
            reformatter.reformat(image, format="bgr24", threads=1).to_ndarray()


def opencv_loop(path):
    """Decode a video with OpenCV's plain loop."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while capture.read()[0]:
        pass


def compare_sequential(datasets, videos, args):
    """Print the second table."""
    print(
        "\ncodec          frames/s: PyAV loop  OpenCV loop  frames alone  whole samples"
        "  of PyAV  indexing"
    )
    order = range(args.frames)
    for codec, path in videos.items():
        dataset = datasets[codec]
        functions = (
            lambda path=path: pyav_loop(path),
            lambda path=path: opencv_loop(path),
            lambda dataset=dataset: read_all(dataset.read_frame, order),
            lambda dataset=dataset: read_all(dataset.prepare_data, order),
            lambda path=path: scan_video(path),
        )
        counts = [args.frames] * len(functions)
        a, b, frames, samples, scan = rates(functions, counts, args.repeats)
        print(
            f"{codec:13}  {a:19.0f}  {b:11.0f}  {frames:12.0f}  {samples:13.0f}  "
            f"{frames / a:.2f}, {samples / a:.2f}  {scan:8.0f}"
        )


def read_all(read, order):
    """Read all frames in this order."""
    for index in order:
        read(index)


def compare_shuffled(folder, videos, args):
    """Print the third table."""
    jpegs = [folder / f"{number:06d}.jpg" for number in range(args.frames)]
    for number, path in enumerate(jpegs):
        image = frame(number, args.size)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    size = sum(path.stat().st_size for path in jpegs)
    order = list(range(0, args.frames, args.stride)) * STREAMS
    random.Random(0).shuffle(order)
    print(
        f"\ncodec          shuffled, frames/s: stride {args.stride}, DefaultSampler  "
        f"VideoShuffleSampler  parts={args.stride}  JPEGs  ratios to JPEGs  "
        "disk, video : JPEGs"
    )
    ids = [f"{number:03d}" for number in range(STREAMS)]
    for codec, path in videos.items():
        root = make_tree(folder / f"{path.stem}-shuffled", path, ids, args.frames)
        dataset = Face300VWVideoDataset(
            str(root), ids=ids, stride=args.stride, max_open=STREAMS
        )
        every = Face300VWVideoDataset(str(root), ids=ids, max_open=STREAMS)
        # The whole order would take minutes where key frames are far apart.
        plain = list(DefaultSampler(dataset, seed=0))[: len(dataset) // STREAMS]
        strided = VideoShuffleSampler(dataset, 16, 0, seed=0)
        whole = VideoShuffleSampler(every, 16, 0, parts=args.stride, seed=0)
        functions = (
            partial(read_all, dataset.prepare_data, plain),
            partial(read_all, dataset.prepare_data, strided),
            partial(read_all, every.prepare_data, whole),
            lambda: [cv2.imread(str(jpegs[number])) for number in order],
        )
        counts = len(plain), len(strided), len(whole), len(order)
        *videos_read, images = rates(functions, counts, args.repeats)
        own, in_turn, stretches = videos_read
        ratios = ", ".join(f"{rate / images:.2f}" for rate in videos_read)
        print(
            f"{codec:13}  {own:42.0f}  {in_turn:19.0f}  {stretches:7.0f}  "
            f"{images:5.0f}  {ratios:15}  1 : {size / path.stat().st_size:.0f}"
        )


def resident_megabytes(_):
    """In a pipeline: memory of the process that reads."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / 2**20


def watch_memory(folder, path, args):
    """Print the memory of a worker over many reads."""
    ids = [f"{number:03d}" for number in range(8)]
    root = make_tree(folder, path, ids, args.frames)
    pipeline = [resident_megabytes]
    dataset = Face300VWVideoDataset(str(root), ids=ids, pipeline=pipeline)
    order = random.Random(0).choices(range(len(dataset)), k=args.reads)
    loader = DataLoader(
        dataset, 50, sampler=order, num_workers=1, collate_fn=pseudo_collate
    )
    print("\nreads  memory of the worker, MB")
    for batch, used in enumerate(loader, start=1):
        count = 50 * batch
        if count == 500 or count % (args.reads // 8) == 0:
            print(f"{count:5}  {used[-1]:.1f}")


def time_index(folder, args):
    """Print how long an index takes."""
    path = folder / "small.avi"
    write_video(path, args.annotations, (160, 120), *CODECS["MPEG-4 B, 12"])
    ids = (*SPLITS["train"], *SPLITS["test"])[: args.videos]
    root = make_tree(folder / "tree", path, ids, args.annotations)
    times = []
    for _ in range(2):
        start = time.perf_counter(), time.process_time()
        dataset = Face300VWVideoDataset(str(root), ids=ids)
        times += [time.perf_counter() - start[0], time.process_time() - start[1]]
    print(
        f"\nindex of {len(ids)} videos, {len(dataset)} frames: first time "
        "{:.1f} s ({:.1f} s of CPU), second time {:.2f} s ({:.2f} s)".format(*times)
    )


def main():
    """Write the videos and print the parts."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        videos, datasets = {}, {}
        for number, codec in enumerate(CODECS):
            videos[codec] = folder / f"{number}.avi"
            write_video(videos[codec], args.frames, args.size, *CODECS[codec])
            root = make_tree(folder / f"{number}", videos[codec], ["001"], args.frames)
            datasets[codec] = Face300VWVideoDataset(str(root), ids=["001"])
        parts = {
            1: lambda: compare_libraries(videos, args),
            2: lambda: compare_sequential(datasets, videos, args),
            3: lambda: compare_shuffled(folder, videos, args),
            4: lambda: watch_memory(folder / "memory", videos["MPEG-4 B, 12"], args),
            5: lambda: time_index(folder, args),
        }
        for part in args.parts:
            parts[part]()


if __name__ == "__main__":
    main()
