"""Draw invented characters in Omniglot's layout, for trials without a download.

A character is a few curved strokes. Each of its drawings bends, turns, stretches
and thickens them as another hand would. Training and test alphabets differ.
"""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
from pathlib import Path

from semamb_mm.synthetic.characters import DRAWINGS, write_character_tree


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument(
        "--characters", type=int, default=34, help="of each alphabet, at most 99"
    )
    parser.add_argument(
        "--wobble",
        type=float,
        default=0.045,
        help="of the hands; 1 is the image's side",
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw them into a new folder."""
    args = parse_args(argv)
    if not 1 <= args.characters <= 99:
        raise SystemExit(f"--characters lies in 1..99, not {args.characters}")
    try:
        count = write_character_tree(args.out, args.characters, args.wobble, args.seed)
    except FileExistsError as error:
        raise SystemExit(str(error)) from error
    print(f"{count * DRAWINGS} drawings of {count} characters in {args.out}")


if __name__ == "__main__":
    main()
