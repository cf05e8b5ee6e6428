"""Write a corrected copy of a data set: what was decided on a review page.

DECISIONS is the file that the page exports (docs/review_page.md). --dataset is what was
audited:

- the annotation file (.json) of any COCO-style keypoint set of MMPose, or
- the data_root of a tree of .pts files, such as 300W, or of 300-VW's videos.

--out becomes a copy of it in the same format, in which the accepted and moved landmarks
lie where they were put. Nothing else changes, and the original is never touched. What
is no .pts file of a tree is a link there. changes.csv in it lists every change.
"""

try:
    from semamb_mm.audit.corrected import LOG, write_corrected
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
from collections import Counter

from semamb_mm.audit.decisions import KINDS, read_decisions
from semamb_mm.audit.sources import open_source


def parse_args(argv=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("decisions", help="file that the review page exported")
    parser.add_argument(
        "--dataset",
        nargs="+",
        required=True,
        metavar="PATH",
        help="annotation file (.json), or data_root with .pts files; where the config "
        "joins several data sets, all of them, in its order",
    )
    parser.add_argument("--out", required=True, help="new folder for the copy")
    parser.add_argument(
        "--origin",
        type=int,
        choices=(0, 1),
        default=0,
        help="coordinate of the first pixel's centre in the files, as the data set's "
        "origin option (default: %(default)s)",
    )
    parser.add_argument(
        "--hidden",
        type=int,
        choices=(0, 1),
        default=1,
        help="visibility flag in COCO files of landmarks that were marked hidden: 1 is "
        "COCO's 'labelled, not visible', which MMPose trains on; 0 'not labelled', "
        "which it leaves out (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv=None):
    """Check the decisions against the data, and write the copy."""
    args = parse_args(argv)
    try:
        decisions = read_decisions(args.decisions)
        sources = [
            open_source(path, decisions.num_keypoints, args.origin)
            for path in args.dataset
        ]
        changes = write_corrected(decisions, sources, args.out, args.hidden)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    counts = Counter(decision.kind for decision in decisions.decisions)
    print(", ".join(f"{kind}: {counts[kind]}" for kind in KINDS))
    silent = sum(change.in_log_alone for change in changes)
    print(f"wrote {args.out}, {len(changes) - silent} landmarks changed; {LOG} in it")
    if silent:
        print(
            f"{silent} hidden landmarks are in {LOG} alone: .pts files have no flag "
            "for them; a COCO file said so already (--hidden 0 says more)"
        )


if __name__ == "__main__":
    main()
