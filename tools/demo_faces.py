"""Find and draw face landmarks: an image, a folder, a video or a webcam.

Writes into --out-dir the pictures (an .mp4 for a video) and ``landmarks.csv``: file or
frame, face, landmark, x, y, confidence, and whether the refiner corrected it.
Landmarks are drawn from red (unsure) to green (sure); corrected ones wear a magenta
ring; a strip below the picture says so. Small pictures are enlarged; ``landmarks.csv``
counts the pixels of the original.

Where the face is: --boxes (a json file of file name to [x1, y1, x2, y2] or a list of
them; in a folder the name includes the subfolder), --face-detector (OpenCV's YuNet,
an .onnx file from opencv_zoo), or where a first pass over the whole image found the
landmarks, which does for one face that fills much of it; --whole-image takes the whole
image as the box. In a video the box of the next frame follows the landmarks of the last
one for as long as they are found with confidence.

Pictures of a folder that cannot be read or show no face, and frames without a face,
are skipped and counted. A webcam is stopped by Ctrl-C, or by q in --show's window.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import csv
import json
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from mmpose.apis import inference_topdown
from tqdm import tqdm

from semamb_mm.cli import model_parser, open_config, open_pose_model
from semamb_mm.formats.files import atomic_path, atomic_write
from semamb_mm.pictures.landmarks import draw_landmarks, enlarged, landmark_legend

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
LOST = 0.5  # of the confidence at the start, below which a face is looked for anew
PASSES = 3  # over a picture of which nobody says where the face is, after the first
COLUMNS = ("source", "face", "landmark", "x", "y", "confidence", "corrected")


def parse_args(argv=None):
    """Return the command line's options."""
    parser = model_parser(__doc__)
    parser.add_argument("input", help="image, folder, video, or a webcam's number")
    parser.add_argument("--out-dir", default="work_dirs/demo_faces")
    faces = parser.add_mutually_exclusive_group()
    faces.add_argument("--boxes", help="json file of boxes, see above")
    faces.add_argument("--face-detector", help="YuNet .onnx file")
    faces.add_argument(
        "--whole-image", action="store_true", help="the whole image is the face's box"
    )
    parser.add_argument("--max-frames", type=int, help="stop a video or webcam here")
    parser.add_argument("--show", action="store_true", help="in a window; q ends it")
    return parser.parse_args(argv)


def load_boxes(path):
    """Return file name to boxes ``(N, 4)``."""
    boxes = {}
    for name, value in json.loads(Path(path).read_text()).items():
        array = np.atleast_2d(np.asarray(value, np.float32))
        if array.shape[-1] != 4 or not np.isfinite(array).all():
            raise SystemExit(f"{path}: {name}: expected [x1, y1, x2, y2], got {value}")
        boxes[name] = array
    return boxes


class NoFaceError(ValueError):
    """A picture in which no face was found."""


class FaceFinder:
    """Finds boxes ``(N, 4)`` of an image's faces.

    Attributes:
        guesses: Whether nobody knows where a face is: the box is then the whole image.
    """

    def __init__(self, args):
        self.guesses = not (args.boxes or args.face_detector or args.whole_image)
        self.boxes = load_boxes(args.boxes) if args.boxes else None
        self.yunet = None
        if args.face_detector:
            if not Path(args.face_detector).is_file():
                raise SystemExit(f"--face-detector {args.face_detector} does not exist")
            self.yunet = cv2.FaceDetectorYN.create(args.face_detector, "", (320, 320))

    def __call__(self, image, name):
        """Return boxes of one picture's faces, at least one.

        Raises:
            NoFaceError: If there is none.
            ValueError: If the box given lies outside the picture, or none is.
        """
        height, width = image.shape[:2]
        if self.boxes is not None:
            if name not in self.boxes:
                raise ValueError(f"{name} is not in --boxes")
            return check_boxes(self.boxes[name], width, height, name)
        if self.yunet is not None:
            self.yunet.setInputSize((width, height))
            _, found = self.yunet.detect(image)
            if found is None:
                raise NoFaceError(f"{name}: no face found")
            return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], 1)
        return np.array([[0, 0, width, height]], np.float32)


def check_boxes(boxes, width, height, name):
    """Return the boxes, if each overlaps the image."""
    low, high = boxes[:, :2], boxes[:, 2:]
    overlap = np.minimum(high, (width, height)) - np.maximum(low, 0)
    if not (overlap > 0).all():
        bad = boxes[~(overlap > 0).all(1)][0].tolist()
        raise ValueError(
            f"{name}: face box {bad} lies outside the image of {width} x {height} "
            "pixels, or is empty"
        )
    return boxes


def find(model, image, boxes):
    """Return ``(N, K, 2)`` landmarks, ``(N, K)`` confidence and corrected."""
    instances = [s.pred_instances for s in inference_topdown(model, image, boxes)]
    never = np.zeros_like(instances[0].keypoint_scores, dtype=bool)
    return (
        np.concatenate([i.keypoints for i in instances]),
        # Negative where corrected.
        np.abs(np.concatenate([i.keypoint_scores for i in instances])),
        np.concatenate([i.get("keypoints_corrected", never) for i in instances]),
    )


def boxes_around(faces, image):
    """Return the boxes ``(N, 4)`` of landmarks; None if one lies outside the image."""
    low, high = faces[0].min(1), faces[0].max(1)
    height, width = image.shape[:2]
    inside = (high > 0).all() and (low < (width, height)).all()
    return np.concatenate([low, high], 1) if inside else None


def locate(model, finder, image, name):
    """Return the boxes of a picture's faces, and what :func:`find` finds in them.

    Where nobody knows the box, it is drawn around what was found in the whole image,
    again for as long as the landmarks become surer.

    Raises:
        ValueError: As :class:`FaceFinder`.
    """
    boxes = finder(image, name)
    faces = find(model, image, boxes)
    for _ in range(PASSES if finder.guesses else 0):
        closer = boxes_around(faces, image)
        found = None if closer is None else find(model, image, closer)
        if found is None or found[1].mean() <= faces[1].mean():
            break
        boxes, faces = closer, found
    return boxes, faces


def draw(image, boxes=(), faces=((), (), ()), refined=False):
    """Return the image with all its faces, enlarged if it is small, and a legend."""
    image, zoom = enlarged(image)
    for box, keypoints, scores, corrected in zip(boxes, *faces):
        image = draw_landmarks(image, keypoints, scores, corrected, box, zoom)
    return np.vstack([image, landmark_legend(image.shape[1], refined)])


def corrects(model):
    """Return whether a model has a part that may correct landmarks."""
    return getattr(model.head, "refiner", None) is not None


def rows(source, faces):
    """Yield the cells of :data:`COLUMNS` for every landmark."""
    for face, (keypoints, scores, corrected) in enumerate(zip(*faces)):
        for k, ((x, y), score) in enumerate(zip(keypoints, scores)):
            yield (
                source, face, k, f"{x:.3f}", f"{y:.3f}", f"{score:.4f}",
                int(corrected[k]),
            )  # fmt: skip


def write_picture(path, picture):
    """Write a .png file, whole or not at all."""
    _, data = cv2.imencode(".png", picture)
    with atomic_write(path, "wb") as file:
        file.write(data.tobytes())


def picture_names(sources):
    """Return source to its picture's name, of paths below the same folder.

    The suffix is part of it where another source is called the same without.
    """
    sources = list(sources)
    alike = Counter(source.with_suffix("") for source in sources)
    return {
        source.as_posix(): (
            source if alike[source.with_suffix("")] > 1 else source.with_suffix("")
        ).as_posix()
        + "_landmarks.png"
        for source in sources
    }


def run_images(model, finder, paths, root, out_dir, writer, show):
    """Draw image files; return the number drawn, and of those that could not be."""
    drawn = skipped = 0
    refined = corrects(model)
    names = picture_names(path.relative_to(root) for path in paths)
    bar = tqdm(paths, unit="image")
    for path in bar:
        name = path.relative_to(root).as_posix()
        image = cv2.imread(str(path))
        try:
            if image is None:
                raise ValueError(f"{path} is not an image that OpenCV can read")
            boxes, faces = locate(model, finder, image, name)
        except ValueError as error:
            if len(paths) == 1:
                raise SystemExit(str(error)) from error
            skipped += 1
            bar.write(f"skipped: {error}", file=sys.stderr)
            continue
        writer.writerows(rows(name, faces))
        picture = draw(image, boxes, faces, refined)
        write_picture(out_dir / names[name], picture)
        drawn += 1
        if show and not show_picture(picture):
            break
    return drawn, skipped


class Tracker:
    """Finds faces in a frame, by where the last frame's landmarks were."""

    def __init__(self, model, finder):
        self.model, self.finder = model, finder
        self.boxes, self.usual = None, None

    def __call__(self, frame, name):
        """Return the boxes and what :func:`find` found in them."""
        boxes = self.boxes
        if boxes is None:
            boxes, faces = locate(self.model, self.finder, frame, name)
            self.usual = faces[1].mean(1)
        else:
            faces = find(self.model, frame, boxes)
        sure = (faces[1].mean(1) > LOST * self.usual).all()
        self.boxes = boxes_around(faces, frame) if sure else None
        return boxes, faces


class FrameReader:
    """The frames of a video or a webcam, with a progress bar.

    Attributes:
        name: The file's name, or the webcam's.
        fps: Frames a second.
        read: How many frames have been read.
        promised: How many there should be; 0 if nobody says.
    """

    def __init__(self, source, max_frames):
        self.source, self.max_frames = source, max_frames
        self.webcam = source.isdigit()
        self.capture = cv2.VideoCapture(int(source) if self.webcam else source)
        if not self.capture.isOpened():
            raise SystemExit(f"{source}: no video that OpenCV can read")
        self.promised = max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if max_frames:
            self.promised = min(self.promised or max_frames, max_frames)
        self.name = f"webcam{source}" if self.webcam else Path(source).name
        self.fps = self.capture.get(cv2.CAP_PROP_FPS) or 25
        self.read = 0
        self.bar = tqdm(total=self.promised or None, unit="frame")

    def __iter__(self):
        """Yield number and frame until the end, or until Ctrl-C."""
        with self.bar:
            try:
                while self.max_frames is None or self.read < self.max_frames:
                    there, frame = self.capture.read()
                    if not there:
                        break
                    self.read += 1
                    self.bar.update()
                    yield self.read, frame
            finally:
                self.capture.release()

    def check(self, stopped):
        """Report missing frames, unless the user stopped early."""
        if not self.read:
            raise SystemExit(f"{self.source}: not one frame could be decoded")
        if self.read < self.promised and not self.webcam and not stopped:
            print(
                f"{self.source} ends after {self.read} frames, {self.promised} were "
                f"expected: {self.promised - self.read} are missing",
                file=sys.stderr,
            )


def run_video(model, finder, source, out_dir, writer, args):
    """Draw a video or a webcam; return the numbers of frames drawn and skipped."""
    frames = FrameReader(source, args.max_frames)
    tracker, refined = Tracker(model, finder), corrects(model)
    skipped, stopped = 0, False
    name = f"{Path(frames.name).stem}_landmarks.mp4"
    with VideoSink(out_dir / name, frames.fps) as sink:
        try:
            for number, frame in frames:
                try:
                    boxes, faces = tracker(frame, frames.name)
                    writer.writerows(rows(f"{frames.name}:{number}", faces))
                    picture = draw(frame, boxes, faces, refined)
                except NoFaceError as error:
                    picture = draw(frame, refined=refined)
                    skipped += 1
                    if skipped == 1:
                        text = f"frame {number} skipped: {error}"
                        frames.bar.write(text, file=sys.stderr)
                sink.write(picture)
                if args.show and not show_picture(picture):
                    stopped = True
                    break
        except KeyboardInterrupt:  # how a webcam without a window is stopped
            stopped = True
    frames.check(stopped)
    return frames.read - skipped, skipped


class VideoSink:
    """An MPEG-4 file that gets its name when it is whole; none without a frame."""

    def __init__(self, path, fps):
        self.path, self.fps = path, fps
        self.stack, self.writer = ExitStack(), None

    def write(self, picture):
        """Add a frame, as large as the first one."""
        if self.writer is None:
            unfinished = self.stack.enter_context(atomic_path(self.path))
            size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter_fourcc(*"mp4v")
            self.writer = cv2.VideoWriter(str(unfinished), code, self.fps, size)
            if not self.writer.isOpened():
                raise SystemExit(f"OpenCV cannot write {self.path}")
        self.writer.write(picture)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.writer is not None:
            self.writer.release()
        return self.stack.__exit__(*failure)


def show_picture(picture):
    """Show a picture; return False once q has been pressed."""
    cv2.imshow("landmarks", picture)
    return cv2.waitKey(1) & 0xFF != ord("q")


def main(argv=None):
    """Find, draw and list the landmarks of everything in the input."""
    args = parse_args(argv)
    source = Path(args.input)
    if not args.input.isdigit() and not source.exists():
        raise SystemExit(f"{source} does not exist")
    finder = FaceFinder(args)
    model = open_pose_model(open_config(args), args.checkpoint, args.device)
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths, root = [], source
    if source.is_dir():
        paths = list_images(source, out_dir)
    elif source.suffix.lower() in IMAGES:
        paths, root = [source], source.parent
    with atomic_write(out_dir / "landmarks.csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        if paths:
            done, skipped = run_images(
                model, finder, paths, root, out_dir, writer, args.show
            )
        else:
            try:
                done, skipped = run_video(
                    model, finder, args.input, out_dir, writer, args
                )
            except ValueError as error:  # a box that does not fit
                raise SystemExit(str(error)) from error
    print(f"{done} drawn, {skipped} skipped; see {out_dir}")
    if not done:
        raise SystemExit(1)


def list_images(folder, out_dir):
    """Return the images in a folder and its subfolders, the demo's own left out."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGES
        and out_dir.resolve() not in path.resolve().parents
    ]
    if not paths:
        raise SystemExit(f"{folder} holds no images ({', '.join(sorted(IMAGES))})")
    return paths


if __name__ == "__main__":
    main()
