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

import argparse
import os
import sys
from pathlib import Path

from mmengine.utils import track_progress_rich

from semamb_mm.formats.face_json import whole_pixel_square, write_face_json
from semamb_mm.formats.images import BadImageError
from semamb_mm.formats.layout_300w import (
    PARTS,
    SPLITS,
    image_root,
    part_faces,
    read_whole_face,
)
from semamb_mm.formats.pts import PtsError
from semamb_mm.formats.pts_faces import Face, FaceFiles


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", help="the data set's folder")
    parser.add_argument(
        "--out-dir", help="folder for the json files (default: ROOT/annotations)"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        choices=SPLITS,
        default=list(SPLITS),
        help="splits to write (default: all)",
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
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes that decode images (default: one a CPU core)",
    )
    return parser.parse_args()


def write_split(path: Path, root: Path, faces: list[Face]) -> None:
    """Faces' paths are written relative to the image folder."""
    with write_face_json(path) as add:
        for number, face in enumerate(faces, start=1):
            name = os.path.relpath(face.image_path, image_root(root))
            square = whole_pixel_square(face.keypoints)
            add(number, name, face.size, face.keypoints, *square)


def face_or_reason(files: FaceFiles, origin: int) -> Face | str:
    """Return a face, or why it cannot be used."""
    try:
        return read_whole_face(files, origin)
    except (BadImageError, PtsError, OSError) as error:
        return str(error)


def main():
    args = parse_args()
    root = Path(args.root)
    out_dir = Path(args.out_dir) if args.out_dir else root / "annotations"
    parts = tuple(dict.fromkeys(part for s in args.splits for part in SPLITS[s]))
    faces, bad = {}, []
    try:
        files = {part: part_faces(root, part) for part in parts}
    except FileNotFoundError as error:
        sys.exit(f"300w: {error}")
    for part, found in files.items():
        if len(found) != PARTS[part]:
            print(f"{part}: {len(found):,} faces where {PARTS[part]:,} are expected")
        if not found:
            faces[part] = []
            continue
        read = track_progress_rich(
            face_or_reason,
            [(face, args.origin) for face in found],
            nproc=args.workers,
            chunksize=8,
            description=part,
        )
        faces[part] = [face for face in read if isinstance(face, Face)]
        bad += [face for face in read if isinstance(face, str)]
    for reason in bad:
        print(f"bad: {reason}")
    if bad and not args.skip_bad:
        sys.exit(
            f"300w: {len(bad):,} bad faces, nothing written; mend them, or leave them "
            "out with --skip-bad"
        )
    for split in args.splits:
        chosen = [face for part in SPLITS[split] for face in faces[part]]
        path = out_dir / f"face_landmarks_300w_{split}.json"
        write_split(path, root, chosen)
        print(f"{path}: {len(chosen):,} faces")
    prefix = os.path.relpath(image_root(root), root)
    print(f"read with data_root={str(root)!r}, data_prefix=dict(img={prefix!r})")


if __name__ == "__main__":
    main()
