"""Turn the list of AFLW-Full into the json files that MMPose's AFLWDataset reads.

ROOT holds the list, AFLWinfo_release.mat, and AFLW's images: the folders 0, 2 and 3 of
its archives in flickr, data/flickr, images or images/flickr. Written are, into
ROOT/annotations,

    face_landmarks_aflw_train.json           20,000 faces
    face_landmarks_aflw_test.json             4,386 faces
    face_landmarks_aflw_test_frontal.json     1,314 faces, all landmarks visible

with 19 landmarks each. The box is the square around the middle of the list's box with
the face's size, the root of its area, as side: MMPose loads it as bbox, so that
FaceNME(norms=('bbox_size',), box='annotation') divides by the face's size. It is
'box_size' as well. Visible landmarks are flagged 2, hidden ones 1.

All images are decoded, and every one that is missing or not whole is named; then
nothing is written, unless --skip-bad leaves its faces out. For the list, and what about
it is not certain, see semamb_mm/formats/aflw_list.py.
"""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from semamb_mm import dataset_cli
from semamb_mm.formats.aflw_list import (
    AFLWList,
    find_aflw_list,
    find_image_folder,
    read_aflw_list,
)
from semamb_mm.formats.face_json import write_face_json
from semamb_mm.formats.images import readable_image_size
from semamb_mm.formats.layout_300w import image_root


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = dataset_cli.dataset_parser(__doc__, workers=" that decode images")
    parser.add_argument(
        "--list",
        help="the list (default: AFLWinfo_release.mat in ROOT or ROOT/annotations)",
    )
    dataset_cli.add_out_dir(parser)
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out faces whose image is missing or not whole",
    )
    return parser.parse_args()


def write_split(
    path: Path,
    faces: AFLWList,
    rows: np.ndarray,
    folder: str,
    sizes: dict[str, tuple[int, int]],
) -> int:
    """Write some faces, less those whose image has no size; return their number."""
    sides = faces.face_sizes()
    written = 0
    with write_face_json(path) as add:
        for row in rows.tolist():
            name = faces.names[row]
            if name not in sizes:
                continue
            labelled = np.isfinite(faces.keypoints[row]).all(1)
            add(
                row + 1,
                f"{folder}/{name}",
                sizes[name],
                np.where(labelled[:, None], faces.keypoints[row], 0),
                (faces.boxes[row, :2] + faces.boxes[row, 2:]) / 2,
                float(sides[row]),
                np.where(faces.visible[row], 2, labelled),
                box_size=float(sides[row]),
            )
            written += 1
    return written


def main() -> None:
    """Read the list and all images, then write all splits."""
    args = parse_args()
    root, out_dir = dataset_cli.folders(args)
    try:
        faces = read_aflw_list(args.list or find_aflw_list(root))
        names = sorted(set(faces.names))
        images = find_image_folder(root, names)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"aflw: {error}")
    tasks = [(readable_image_size, str(images / name)) for name in names]
    found = dataset_cli.in_parallel(
        dataset_cli.result_or_reason,
        tasks,
        args.workers,
        "decoding images",
        chunksize=16,
    )
    bad = [size for size in found if isinstance(size, str)]
    dataset_cli.report_bad(
        "aflw", bad, "images", None if args.skip_bad else "their faces"
    )
    sizes = {name: size for name, size in zip(names, found) if isinstance(size, tuple)}
    folder = os.path.relpath(images, image_root(root))
    for split, rows in faces.splits.items():
        path = out_dir / f"face_landmarks_aflw_{split}.json"
        written = write_split(path, faces, rows, folder, sizes)
        print(f"{path}: {written:,} faces")
    dataset_cli.say_how_to_read(root, image_root(root))


if __name__ == "__main__":
    main()
