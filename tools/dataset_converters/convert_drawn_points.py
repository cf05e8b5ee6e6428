"""Turn what annotators drew with LabelMe or CVAT into one COCO json.

    convert_drawn_points.py labelme anna=labels/anna ben=labels/ben --out all.json
    convert_drawn_points.py cvat anna=anna.xml ben=ben.xml --out all.json

Each annotation names its annotator, as tools/analysis/compare_annotators.py --json and
SeveralAnnotatorsDataset(annotator_key='annotator') read it. Labels are landmarks, in
the order of --landmarks; without it, sorted by name. One annotator will do, too.
Of CVAT export as 'CVAT for images 1.1'.
"""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import json
import sys

from semamb_mm.formats.annotators import named_paths
from semamb_mm.formats.drawn_points import coco_of_drawn, read_cvat, read_labelme
from semamb_mm.formats.files import atomic_write

READERS = dict(labelme=read_labelme, cvat=read_cvat)


def main(argv=None) -> None:
    """Read all annotators' exports and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=READERS)
    parser.add_argument("annotators", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--landmarks", nargs="+", help="their names, in order")
    parser.add_argument("--out", required=True, help="the json file")
    args = parser.parse_args(argv)
    try:
        named = named_paths(args.annotators)
        drawn = {name: READERS[args.kind](path) for name, path in named.items()}
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    every = {label for part in drawn.values() for one in part for label in one.points}
    landmarks = args.landmarks or sorted(every)
    try:
        content = coco_of_drawn(drawn, landmarks)
    except ValueError as error:
        sys.exit(str(error))
    with atomic_write(args.out, encoding="utf-8") as file:
        json.dump(content, file)
    print(
        f"{args.out}: {len(content['annotations'])} annotations of "
        f"{len(content['images'])} images by {', '.join(drawn)}; {len(landmarks)} "
        f"landmarks: {' '.join(landmarks)}"
    )


if __name__ == "__main__":
    main()
