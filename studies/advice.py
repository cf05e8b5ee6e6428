"""What ``tools/analysis/does_it_help.py`` advises, and what happened.

Asks it about every finished plain detector of other studies, and compares what it
expects with what their other methods gained:

- ``faces``: of ``studies.alignment noise`` at --faces. Held out are 300 faces of
  another seed with annotations of the same noise;
- ``xrays``: of ``studies.disagreement`` at --xrays. Held out is the fold that the
  detector has not seen, as its dentist annotated it. Needs XRAY_ROOT.

Nothing is trained. Gains of targets are RMS errors against the truth, where it is
known: all landmarks' annotations against the targets that a method's training ended
with. Gains of detectors are as those studies have them, against plain training with the
same seed: on X-rays against the mean of both dentists, over the folds together. The
greatest gain is of training on better labels: on the truth, or on the mean of both
dentists.

Prints means over seeds or folds and writes ``advice.md`` into --work-dir. What has been
asked is not asked again.
"""

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from semamb_mm.audit.advice import Estimate, advise
from semamb_mm.formats.files import atomic_path, atomic_write

from . import alignment, disagreement
from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Made,
    Run,
    markdown,
    measured,
    study_parser,
)
from .xrays import FOLDS, training_part, xray_root

TOOL = "tools/analysis/does_it_help.py"
FACES = dict(num_samples=300, annotation="noisy")
OF_FACES = ("--hook-of", ROOT / "configs/_base_/alignment_68.py")
# Of the landmarks together: figure of the tool, heading.
EXPECTED = (("targets", "targets, expected"), ("detector", "detector, expected"))
HEAD = (
    "case",
    "detectors",
    "train/held-out",
    EXPECTED[0][1],
    "measured",
    EXPECTED[1][1],
    "measured",
    "greatest gain",
    "advice",
)
DECIDING = ("ratio", "targets", "detector")
CEILINGS = ("perfect targets", "ceiling")


@dataclass(frozen=True)
class Asked:
    """A finished plain detector, and what other methods came to.

    Attributes:
        case: What it is an example of.
        plain: Its run.
        held_out: Makes the validation set one that is annotated as the training's is.
        options: Further ones of the tool.
        others: Method to its finished run.
    """

    case: str
    plain: Run
    held_out: Change
    options: tuple[object, ...]
    others: Mapping[str, Run]

    def answer(self) -> dict:
        """Return what the tool writes, asked once."""
        folder = self.plain.folder / "advice"
        config, out = folder / "config.py", folder / "advice.json"
        if not config.exists():
            changed = deepcopy(self.plain.resolved)
            self.held_out(changed)
            with atomic_path(config) as temporary:
                changed.dump(temporary)
        command = (TOOL, config, self.plain.checkpoint, "--out", out, *self.options)
        Made(out, command).make()
        return json.loads(out.read_text())


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/advice")
    parser.add_argument("--faces", help="--work-dir of studies.alignment noise")
    parser.add_argument("--xrays", help="--work-dir of studies.disagreement")
    args = parser.parse_args(argv)
    if not args.faces and not args.xrays:
        parser.error("expected --faces, --xrays or both")
    return args


def of_faces(args: argparse.Namespace) -> Iterator[Asked]:
    """Yield the finished plain detectors of procedural faces."""
    there = argparse.Namespace(**{**vars(args), "work_dir": args.faces})
    runs = [
        run
        for run in alignment.plan_noise(there)
        if run.folder.exists() and run.finished
    ]
    for plain in runs:
        if plain.method == "plain":
            noise = alignment.NOISE_CASES[plain.case].noise

            def held_out(config: Config, noise=noise) -> None:
                config.val_dataloader.dataset.update(noise=noise, **FACES)

            case = f"faces, {plain.case}"
            yield Asked(case, plain, held_out, OF_FACES, _others(plain, runs))


def of_xrays(args: argparse.Namespace) -> Iterator[Asked]:
    """Yield the finished plain detectors of X-rays."""
    wanted = dict(annotators=[1, 2], folds=list(range(FOLDS)), work_dir=args.xrays)
    wanted |= dict(methods=list(disagreement.METHODS))
    there = argparse.Namespace(**{**vars(args), **wanted})
    runs = [run for run in disagreement.plan(there) if run.finished]
    for plain in runs:
        if plain.method == "plain":
            without = [fold for fold in range(FOLDS) if fold != plain.fold]
            part = training_part(
                xray_root(), plain.annotator, without, Path(args.work_dir)
            )

            def held_out(config: Config, part=part) -> None:
                config.val_dataloader = deepcopy(config.train_dataloader)
                config.val_dataloader.dataset.ann_file = str(part)

            case = f"X-rays, annotator {plain.annotator}"
            yield Asked(case, plain, held_out, (), _others(plain, runs))


def _others(plain: Run, runs: Sequence[Run]) -> dict[str, Run]:
    return {
        run.method: run
        for run in runs
        if run.names[:-1] == plain.names[:-1] and run.seed == plain.seed
        if run.method != "plain"
    }


def gains_of_faces(cases: Sequence[Asked], method: str) -> dict[str, float]:
    """Return by how many percent a method's targets and detectors err less."""
    targets, detectors = [], []
    for asked in cases:
        if method in asked.others:
            plain = measured(asked.plain, alignment.measure)
            other = measured(asked.others[method], alignment.measure)
            detectors.append(gain(other[alignment.NME], plain[alignment.NME]))
            before = other.get("annotations RMS/all")
            # Without noise there is nothing that could err less.
            if before and method not in CEILINGS:
                targets.append(gain(other["targets RMS/all"], before))
    named = dict(targets=targets, detector=detectors)
    return {name: statistics.mean(found) for name, found in named.items() if found}


def gains_of_xrays(cases: Sequence[Asked], method: str) -> dict[str, float]:
    """Return by how many percent a method's detectors err less, folds together."""
    pairs = [
        [measured(run, disagreement.errors_of) for run in (other, asked.plain)]
        for asked in cases
        if (other := asked.others.get(method)) is not None
    ]
    if not pairs:
        return {}
    ours, plains = zip(*pairs)
    return dict(detector=-disagreement.compared(ours, plains, "mean")[1])


def gain(after: float, before: float) -> float:
    """Return by how many percent one error is less than another."""
    return 100 * (1 - after / before)


def row(
    cases: Sequence[Asked],
    gains: Callable[[Sequence[Asked], str], dict[str, float]],
) -> list[str]:
    """Return a case's line of the table."""
    answers = [asked.answer() for asked in cases]
    methods = dict.fromkeys(method for asked in cases for method in asked.others)
    found = {method: gains(cases, method) for method in methods}

    def mean(figure: str, scale: float, digits: int) -> str:
        values = [answer["figures"]["all"][figure] for answer in answers]
        ends = (
            f"{scale * statistics.mean(v[end] for v in values):.{digits}f}"
            for end in ("value", "low", "high")
        )
        return "{} ({} to {})".format(*ends)

    def each(figure: str, wanted: Callable[[str], bool]) -> str:
        return ", ".join(
            f"{method} {figures[figure]:.1f}"
            for method, figures in found.items()
            if figure in figures and wanted(method)
        )

    advice = Counter(
        advise(*(Estimate(**answer["figures"]["all"][figure]) for figure in DECIDING))
        for answer in answers
    )
    cells = [cases[0].case, f"{len(cases)}", mean("ratio", 1, 2)]
    for figure, _ in EXPECTED:
        ours = each(figure, lambda method: method not in CEILINGS)
        cells += [mean(figure, 100, 1), ours]
    cells.append(each("detector", lambda method: method in CEILINGS))
    said = (
        f"{name} ({count})" if len(advice) > 1 else name
        for name, count in advice.items()
    )
    return [*cells, ", ".join(said)]


def main(argv=None):
    """Ask, and compare."""
    args = parse_args(argv)
    kinds = (
        (args.faces, of_faces, gains_of_faces),
        (args.xrays, of_xrays, gains_of_xrays),
    )
    rows = []
    for folder, find, gains in kinds:
        cases: dict[str, list[Asked]] = {}
        for asked in find(args) if folder else ():
            cases.setdefault(asked.case, []).append(asked)
        rows += [row(members, gains) for members in cases.values()]
    if not rows:
        raise SystemExit(NOTHING_FINISHED)
    text = markdown(HEAD, rows) + "\n"
    with atomic_write(Path(args.work_dir) / "advice.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
