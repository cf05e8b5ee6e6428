"""Turn 300W's .pts files into the json files that MMPose's Face300WDataset reads.

ROOT holds afw, helen, ibug and lfpw as iBUG hands them out, or has them in a folder
images. Written are, into ROOT/annotations,

    face_landmarks_300w_train.json            3,148 faces
    face_landmarks_300w_valid.json              689 faces (the full test set)
    face_landmarks_300w_valid_common.json       554 faces
    face_landmarks_300w_valid_challenge.json    135 faces

by MMPose's own rules for the box and with every landmark marked visible, as there. All
images are decoded, and every face that is not whole is named; then nothing is written,
unless --skip-bad leaves such faces out.
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

from semamb_mm import dataset_cli
from semamb_mm.formats.face_json import whole_pixel_square, write_face_json
from semamb_mm.formats.layout_300w import (
    PARTS,
    SPLITS,
    image_root,
    part_faces,
    read_whole_face,
)
from semamb_mm.formats.pts_faces import Face


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = dataset_cli.dataset_parser(__doc__, workers=" that decode images")
    dataset_cli.add_out_dir(parser)
    dataset_cli.add_splits(
        parser, tuple(SPLITS), tuple(SPLITS), "splits to write (default: all)"
    )
    parser.add_argument(
        "--origin",
        type=int,
        choices=(0, 1),
        default=0,
        help="coordinate of the first pixel in the .pts files: 0 takes the numbers as "
        "they are, as MMPose does; 1 subtracts Matlab's one (default: 0)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out faces that are not whole"
    )
    return parser.parse_args()


def write_split(path: Path, root: Path, faces: list[Face]) -> None:
    """Write faces, with paths relative to the image folder."""
    with write_face_json(path) as add:
        for number, face in enumerate(faces, start=1):
            name = os.path.relpath(face.image_path, image_root(root))
            square = whole_pixel_square(face.keypoints)
            add(number, name, face.size, face.keypoints, *square)


def main() -> None:
    """Read all parts, then write all splits."""
    args = parse_args()
    root, out_dir = dataset_cli.folders(args)
    parts = tuple(dict.fromkeys(part for s in args.splits for part in SPLITS[s]))
    faces, bad = {}, []
    try:
        files = {part: part_faces(root, part) for part in parts}
    except FileNotFoundError as error:
        sys.exit(f"300w: {error}")
    for part, found in files.items():
        if len(found) != PARTS[part]:
            print(f"{part}: {len(found):,} faces where {PARTS[part]:,} are expected")
        tasks = [(read_whole_face, face, args.origin) for face in found]
        read = dataset_cli.in_parallel(
            dataset_cli.result_or_reason, tasks, args.workers, part, chunksize=8
        )
        faces[part] = [face for face in read if isinstance(face, Face)]
        bad += [face for face in read if isinstance(face, str)]
    dataset_cli.report_bad("300w", bad, "faces", None if args.skip_bad else "them")
    for split in args.splits:
        chosen = [face for part in SPLITS[split] for face in faces[part]]
        path = out_dir / f"face_landmarks_300w_{split}.json"
        write_split(path, root, chosen)
        print(f"{path}: {len(chosen):,} faces")
    dataset_cli.say_how_to_read(root, image_root(root))


if __name__ == "__main__":
    main()
