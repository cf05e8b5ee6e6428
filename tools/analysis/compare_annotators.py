"""Compare people who marked the same pictures, and a network with them.

Annotations are one of

- ``--coco NAME=FILE NAME=FILE ...``: a COCO json for each annotator;
- ``--json FILE``: one COCO json whose annotations have an 'annotator';
- ``--pts NAME=FOLDER NAME=FOLDER ...``: a folder of .pts files for each annotator;
- ``--config CONFIG``: the train data of a config, a SeveralAnnotatorsDataset.

A network is compared if ``--predictions FILE`` has its landmarks, in the layout of
``--coco`` (or a folder of .pts files), or by ``--checkpoint`` with a config. Its
pictures must be others than those that it was trained on: on those it shares its
annotators' slips, and both look more precise than they are.

Prints, and writes into --out-dir as summary.md, each observer's noise and convention
with 95 % intervals, repeats of equal pictures, whose convention the network follows,
and the pictures that observers differ most about. Also writes

- ``landmarks.csv``: offset and noise of each observer and landmark;
- ``pairs.csv``: bias, limits of agreement, Dahlberg's error and ICC of each two;
- ``pictures.csv``: all pictures, the most doubtful first;
- ``observers.png``: offsets and noise on the mean shape;
- ``bland_altman_A_B.png`` of each two;
- ``worst.jpg``: the most doubtful pictures, if the images are at hand.

Three observers, the network among them, tell their errors apart; of two only the sum
is known.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from semamb_mm import cli
from semamb_mm.faces.sizes import percent_unit
from semamb_mm.formats.annotators import (
    Opinions,
    find_image,
    group_equal_files,
    named_paths,
    read_one_coco,
    read_several_coco,
    read_several_pts,
)
from semamb_mm.formats.files import atomic_path, atomic_write
from semamb_mm.formats.tables import write_csv
from semamb_mm.pictures.contact_sheets import contact_sheet
from semamb_mm.pictures.observers import (
    colours_of,
    draw_opinions,
    plot_bland_altman,
    plot_observers,
)
from semamb_mm.pose.annotator_comparison import Comparison
from semamb_mm.pose.finished.held_out import pipeline_of_tests
from semamb_mm.pose.finished.search import latent_target_hook
from semamb_mm.pose.inference import predict
from semamb_mm.pose.latent_targets.samples import (
    build_store,
    keyed_annotations,
    located_samples,
)

NETWORK = "network"
IN_SAMPLE = (
    "The network's figures hold if it was not trained on these pictures; else it, and "
    "its annotators, look more precise than they are."
)


def parse_args(argv=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--coco", nargs="+", metavar="NAME=FILE")
    kind.add_argument("--json", metavar="FILE")
    kind.add_argument("--pts", nargs="+", metavar="NAME=FOLDER")
    kind.add_argument("--config", help="of a training; its train data are compared")
    parser.add_argument(
        "--annotator-key", default="annotator", help="in --json (%(default)s)"
    )
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--predictions",
        metavar="FILE",
        help="a network's landmarks (with --json, they are there, by 'network')",
    )
    network.add_argument("--checkpoint", help="a detector, with --config")
    parser.add_argument("--images", help="the images' folder")
    parser.add_argument(
        "--curves",
        nargs="+",
        default=[],
        metavar="FIRST-LAST",
        help="landmarks on open curves, such as 0-16 17-21 (default: the config's)",
    )
    parser.add_argument("--out-dir", default="work_dirs/annotators")
    parser.add_argument("--worst", type=int, default=12, help="pictures (%(default)s)")
    parser.add_argument(
        "--resamples", type=int, default=200, help="for the intervals (%(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="of the detector (%(default)s)")
    cli.add_cfg_options(parser)
    cli.add_batch_size(parser)
    args = parser.parse_args(argv)
    if args.checkpoint and not args.config:
        parser.error("--checkpoint needs --config")
    if args.predictions and not (args.coco or args.pts):
        parser.error("--predictions goes with --coco or --pts")
    return args


def main(argv=None):
    """Read, compare, and write tables and pictures."""
    args = parse_args(argv)
    curves = [curve_of(text) for text in args.curves]
    try:
        if args.config:
            opinions, network, paths, curves = of_config(args, curves)
        else:
            opinions, network = of_files(args)
            root = args.images
            paths = [root and find_image(root, name) for name in opinions.images]
        groups = group_equal_files(opinions.groups, paths)
        comparison = Comparison(opinions._replace(groups=groups), network, curves)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    out_dir = Path(args.out_dir)
    text = summary(comparison, args.resamples, args.worst)
    print(text)
    with atomic_write(out_dir / "summary.md") as file:
        file.write(text)
    write_tables(comparison, out_dir)
    draw(comparison, out_dir)
    if draw_worst(comparison, paths, args.worst, out_dir / "worst.jpg"):
        print(f"wrote tables, figures and worst.jpg into {out_dir}")
    else:
        print(f"wrote tables and figures into {out_dir}; --images gives worst.jpg too")


def of_files(args) -> tuple[Opinions, bool]:
    """Return what files say, and whether a network is the last observer."""
    if args.json:
        opinions = read_one_coco(args.json, args.annotator_key)
        network = NETWORK in opinions.names
        people = [name for name in opinions.names if name != NETWORK]
        return opinions.only(*people, *[NETWORK] * network), network
    named = named_paths(args.coco or args.pts)
    if args.predictions:
        named[NETWORK] = args.predictions
    read = read_several_coco if args.coco else read_several_pts
    return read(named), bool(args.predictions)


def of_config(args, curves) -> tuple[Opinions, bool, list, list]:
    """Return what a config's train data say, its network's opinion, paths, curves."""
    config = cli.open_config(args)
    dataset = cli.training_set(config, pipeline_of_tests(config))
    samples = located_samples(dataset)
    store = build_store(dataset)
    if store.opinions is None:
        raise SystemExit(
            f"{args.config}: its train data have one annotator; expected a "
            "SeveralAnnotatorsDataset with annotation='mean'"
        )
    keys, infos = zip(*keyed_annotations(samples))
    metainfo = samples[0][0].metainfo
    names = metainfo.get("keypoint_id2name", {})
    points = np.where(store.opinions[1][..., None], store.opinions[0], np.nan)
    observers = list(metainfo["annotators"])
    if args.checkpoint:
        model = cli.open_pose_model(config, args.checkpoint, args.device)
        found, _, _ = predict(model, samples, args.batch_size)
        points, observers = np.concatenate([points, found[None]]), [*observers, NETWORK]
    options = latent_target_hook(config) or {}
    known = (options.get("consensus") or {}).get("curves", [])
    opinions = Opinions(
        observers,
        [str(names.get(k, k)) for k in range(store.num_keypoints)],
        list(keys),
        [str(info["img_path"]) for info in infos],
        np.arange(len(keys)),
        points.astype(np.float64),
    )
    paths = [Path(name) for name in opinions.images]
    return opinions, bool(args.checkpoint), paths, curves or known


def curve_of(text: str) -> list[int]:
    """Return the landmarks of ``FIRST-LAST``."""
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise SystemExit(f"--curves {text!r}: expected FIRST-LAST, such as 0-16")
    return list(range(int(first), int(last) + 1))


def summary(comparison: Comparison, resamples: int, worst: int) -> str:
    """Return the report's text, in Markdown."""
    opinions, errors = comparison.opinions, comparison.errors
    unit = percent_unit(len(opinions.landmarks))
    figures = comparison.summaries(resamples)
    lines = [
        f"{len(opinions.samples)} samples, {len(opinions.landmarks)} landmarks; "
        f"lengths in {unit}, RMS over landmarks, with 95 % intervals",
        "",
        "| observer | marks | noise | offset | common to a sample | told apart |",
        "|---|---|---|---|---|---|",
    ]
    shares = errors.common_shares.tolist()
    for m, name in enumerate(opinions.names):
        seen = int(np.isfinite(opinions.points[m]).all(-1).sum())
        told = float(errors.identified[m].double().mean())
        cells = [name, f"{seen}", shown(figures[m].noise), shown(figures[m].offset)]
        lines.append(
            "| " + " | ".join([*cells, f"{shares[m]:.0%}", f"{told:.0%}"]) + " |"
        )
    lines += ["", *remarks(comparison), *repeats(comparison)]
    if comparison.network:
        lines += [IN_SAMPLE, "", *convention(comparison, figures)]
    lines += ["", "The pictures that observers differ most about:", ""]
    for row, score, observer, landmark in comparison.worst(worst):
        lines.append(
            f"- {opinions.samples[row]}: {score:.1f} times the usual; furthest "
            f"{opinions.names[observer]} at {opinions.landmarks[landmark]}"
        )
    return "\n".join(lines) + "\n"


def shown(ends) -> str:
    """Return a figure with its interval, if that is known, in percent."""
    value, low, high = (100 * float(part) for part in ends)
    if np.isnan(low):
        return f"{value:.2f} (too few pictures)"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def remarks(comparison: Comparison) -> list[str]:
    """Return sentences on what cannot be told."""
    names, errors = comparison.opinions.names, comparison.errors
    said = []
    for m, first in enumerate(errors.same_as.tolist()):
        if m != first:
            said.append(
                f"{names[m]} and {names[first]} agree exactly in most landmarks: they "
                "count as one."
            )
    if not errors.identified.all():
        said.append(
            "Where observers are not told apart, their differences are shared out "
            "equally: a third opinion is missing, such as a network's."
        )
    negative = [name for name, some in zip(names, errors.negative.any(1)) if some]
    if negative:
        said.append(
            f"At some landmarks the noise of {', '.join(negative)} is too small to be "
            "measured."
        )
    return [*said, ""] if said else []


def repeats(comparison: Comparison) -> list[str]:
    """Return lines on pictures that an observer marked more than once."""
    lines = []
    for name, (count, rms, noise) in zip(
        comparison.opinions.names, comparison.repeats()
    ):
        if count:
            lines.append(
                f"{name} marked {count} landmarks of equal pictures twice: "
                f"{100 * rms:.2f} apart, so {100 * noise:.2f} noise."
            )
    return [*lines, ""] if lines else []


def convention(comparison: Comparison, figures) -> list[str]:
    """Return whose convention the network follows."""
    names = comparison.opinions.names
    apart = [float(f.from_network[0]) for f in figures[: comparison.people]]
    nearest = names[int(np.argmin(apart))]
    lines = [
        f"{name}'s convention is {shown(figure.from_network)} from the network's."
        for name, figure in zip(names[: comparison.people], figures)
    ]
    return [*lines, f"The network is nearest to {nearest}'s."]


def write_tables(comparison: Comparison, out_dir: Path) -> None:
    """Write all figures as text."""
    write_csv(
        out_dir / "landmarks.csv",
        comparison.LANDMARK_HEADER,
        comparison.landmark_rows(),
    )
    write_csv(out_dir / "pairs.csv", comparison.PAIR_HEADER, comparison.pair_rows())
    opinions = comparison.opinions
    rows = [
        [opinions.samples[row], f"{score:.3f}", opinions.names[observer], landmark]
        for row, score, observer, landmark in comparison.worst(len(opinions.samples))
    ]
    header = ("sample", "times_usual", "furthest_observer", "furthest_landmark")
    write_csv(out_dir / "pictures.csv", header, rows)


def draw(comparison: Comparison, out_dir: Path) -> None:
    """Draw conventions and noise, and each two observers' differences."""
    opinions = comparison.opinions
    unit = percent_unit(len(opinions.landmarks))
    offsets, covariances = comparison.drawn()
    plot_observers(
        out_dir / "observers.png",
        opinions.names,
        100 * offsets,
        1e4 * covariances,
        100 * comparison.mean_shape,
        unit,
        comparison.network,
    )
    people = comparison.points[: comparison.people]
    centre = people.nanmean(0).nanmean(1, keepdim=True)
    points = (100 * (comparison.points - centre)).numpy()
    for a, b in combinations(range(len(points)), 2):
        both = np.isfinite(points[a] - points[b]).all(-1).sum()
        if both > 1:
            pair = opinions.names[a], opinions.names[b]
            path = out_dir / f"bland_altman_{pair[0]}_{pair[1]}.png"
            plot_bland_altman(path, pair, points[a], points[b], unit)


def draw_worst(comparison: Comparison, paths, count: int, path: Path) -> bool:
    """Draw the most doubtful pictures, if there are images; return whether."""
    opinions = comparison.opinions
    colours = colours_of(opinions.names, comparison.network)
    pictures, titles = [], []
    for row, _, observer, landmark in comparison.worst(count):
        if paths[row] is None or (image := cv2.imread(str(paths[row]))) is None:
            continue
        ringed = observer, landmark
        points = opinions.points[:, row]
        pictures.append(draw_opinions(image, points, colours, ringed))
        titles.append(f"{opinions.samples[row]}: {opinions.names[observer]}")
    if pictures:
        sheet = contact_sheet(pictures, min(4, len(pictures)), titles)
        with atomic_path(path) as unfinished:
            if not cv2.imwrite(str(unfinished), sheet):
                raise SystemExit(f"{path} cannot be written")
    return bool(pictures)


if __name__ == "__main__":
    main()
