"""Make a tree of procedural face videos whose true landmarks are known.

FOLDER gets 300-VW's layout: <id>/vid.avi, <id>/annot/000001.pts, ... as an annotator
would have marked them, and <id>/truth/000001.pts, ...; the ids are s000, s001, ...
Face300VWVideoDataset(data_root=FOLDER, ids=[...]) reads it.

Start it again after an interruption, or with more --videos: what is there is kept.
"""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse

from tqdm import tqdm

from semamb_mm.synthetic.annotators import NOISE_PRESETS
from semamb_mm.synthetic.videos import write_video_tree


def parse_args():
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    for name, number, text in (("videos", 20, ""), ("frames", 100, "of each video ")):
        parser.add_argument(
            f"--{name}",
            dest=f"num_{name}",
            metavar=name.upper(),
            type=int,
            default=number,
            help=f"{text}(default: {number})",
        )
    parser.add_argument(
        "--seed", type=int, default=0, help="other seeds, other people (default: 0)"
    )
    parser.add_argument(
        "--image-size", type=int, default=160, help="pixels (default: 160)"
    )
    parser.add_argument("--fps", type=float, default=25.0, help="(default: 25)")
    parser.add_argument(
        "--occlusion",
        type=float,
        default=0.2,
        help="share of videos in which a face is hidden in part for a while "
        "(default: 0.2)",
    )
    parser.add_argument(
        "--noise",
        choices=sorted(NOISE_PRESETS),
        default="realistic",
        help="of the annotators (default: realistic)",
    )
    parser.add_argument(
        "--drift-share",
        type=float,
        default=0.5,
        help="share of the noise's variance that persists from frame to frame "
        "(default: 0.5)",
    )
    parser.add_argument(
        "--drift-frames",
        type=float,
        default=12.0,
        help="how long it persists (default: 12)",
    )
    return parser.parse_args()


def main():
    """Write the videos and their annotations."""
    args = parse_args()
    # Each option is called like the argument that it sets.
    videos = write_video_tree(**vars(args))
    try:
        for _ in tqdm(videos, total=args.num_videos, unit="video"):
            pass
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
