"""Semantic alignment against plain training: same network, budget, data and seeds.

Parts, one or several of:

- ``noise``: procedural faces whose truth is known, at three levels of annotation
  noise; at the heaviest also with a quarter of the faces seen four times as often,
  and, beside no noise, with Gaussians that are narrower than the noise; and with one
  landmark in twenty misplaced altogether. Errors of targets and of detectors are
  against the truth. Without noise, plain training is training on the truth: the
  ceiling.
- ``real``: the .pts folder at DATA_ROOT (train.txt, val.txt), its annotations as
  they are, and training annotations displaced along contour and brows; the same
  with 250 of the training faces, seen four times as often, displaced twice as far.
  Detectors are measured on the untouched validation annotations, targets against
  the annotations before they were displaced.
- ``ablations``: one option at a time, procedural faces, realistic noise; beside them
  plain training with other augmentation ("plain, again"), to tell an effect from
  chance.
- ``compare CONFIG``: your own config with a LatentTargetHook against the same run
  with the search switched off.

Wherever annotations are noisy, "perfect targets" trains on the truth (real faces: on
the annotations before they were displaced) from the epoch where the search would start.

Only if --methods names them, in ``noise`` and ``real``: "restart" and "cross-fit",
which train from the first epoch on targets that the finished plain detector, or
detectors of five folds, found (tools/search_targets.py, tools/cross_fit.py). So they
take two and seven trainings. "suspects" trains from the first epoch without the labels
that an audit by the finished plain detector suspects; "suspects, folds" without those
that detectors of five folds suspect (tools/analysis/audit_annotations.py). "plain,
twice as long" has what "restart" takes, for plain training.

Likewise "paper, afterwards" in ``noise`` and ``real``: the paper's order, in which the
search begins with a converged detector. It goes on from the finished plain detector for
half as many epochs at the rate that plain training ended with; "plain, afterwards" does
so without the search. "ratio 1" and "ratio 0.01" have another sigma_2^2 / sigma_1^2,
which the paper does not tell (see configs/_base_/alignment_paper.py).

Plain and aligned runs of a seed share everything up to the epoch where the search
starts, so that part is trained once: the aligned run resumes from the plain one's
checkpoint, which gives what an uninterrupted run gives.

Writes ``results.csv`` (last epoch of every run), ``curves.csv`` (every validation),
``table.md`` and a picture for each part into --work-dir. Finished runs are not
repeated and stopped ones go on: give the command again.
"""

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.config import Config

from semamb_mm.faces.landmarks import (
    GROUPS_68,
    NUM_LANDMARKS,
    REGIONS_68,
    landmark_groups,
)
from semamb_mm.faces.sizes import face_unit, percent_unit
from semamb_mm.formats.files import atomic_folder, atomic_write
from semamb_mm.formats.pts import read_pts
from semamb_mm.pose.datasets import PtsFaceDataset
from semamb_mm.synthetic.annotators import displace, get_noise
from semamb_mm.synthetic.faces import true_keypoints

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Made,
    Run,
    copy_face,
    curve,
    hook,
    keep_checkpoints,
    lengthened,
    markdown,
    measured,
    merged,
    panels,
    rounded,
    saved_targets,
    scheduled,
    spread,
    study_parser,
    train_all,
    transform,
    validations,
    write_csv,
    write_list,
)

NEVER = 10**9
CONFIGS = ROOT / "configs/semantic_alignment"
REGIONS = ("weak", "contour", "brows", "strong", "all")
NME = "NME/inter_ocular"
# Heading, figure.
COLUMNS = (
    ("NME", NME),
    ("against plain", None),
    *((region, f"{NME}/{region}") for region in REGIONS_68),
    ("inter-pupil NME", "NME/inter_pupil"),
    ("weak targets, RMS", "targets RMS/weak"),
    ("strong targets, RMS", "targets RMS/strong"),
)


def narrow(config: Config) -> None:
    """Make the Gaussians narrower than the noise: 3.2 % of the eye distance."""
    config.model.head.decoder.update(sigma=0.75, blur_kernel_size=5)
    transform(config, "GenerateTarget").encoder.update(sigma=0.75)


def squared_error(config: Config) -> None:
    """Take the stock loss of MMPose's heatmap heads."""
    config.model.head.loss.update(type="KeypointMSELoss", use_target_weight=True)


def unchanged(config: Config) -> None:
    """Change nothing."""


def searching(**options) -> Change:
    """Change options of the search."""

    def change(config: Config) -> None:
        aligning = hook(config)
        aligning.search = {**(aligning.get("search") or {}), **options}

    return change


def at_ratio(ratio: float) -> Change:
    """Set sigma_2^2 / sigma_1^2 of the paper's search; its config has 0.1."""

    def change(config: Config) -> None:
        hook(config).search.likelihood *= (ratio / 0.1) ** 0.5

    return change


def latent_targets(**options) -> Change:
    """Change options of the LatentTargetHook."""
    return lambda config: hook(config).update(options)


def consensus(**options) -> Change:
    """Change options of the consensus."""
    return lambda config: hook(config).consensus.update(options)


def training_faces(**options) -> Change:
    """Change options of the training data set."""
    return lambda config: config.train_dataloader.dataset.update(options)


def going_on(epochs: int) -> Change:
    """Train for so many epochs at the rate that a finished training ended with."""

    def change(config: Config) -> None:
        cosine = config.param_scheduler[1]
        config.optim_wrapper.optimizer.lr *= cosine.eta_min_ratio
        config.param_scheduler = []
        config.train_cfg.max_epochs = epochs

    return change


def validated(interval: int) -> Change:
    """Validate every so many epochs."""
    return lambda config: config.train_cfg.update(val_interval=interval)


@dataclass(frozen=True)
class NoiseCase:
    """Procedural faces: annotators' noise, number of faces, budget, another change."""

    noise: str
    faces: int = 1000
    epochs: int = 20
    change: Change = unchanged


@dataclass(frozen=True)
class RealCase:
    """Real faces: what is displaced on top of what annotators did, faces, budget."""

    noise: Mapping[str, float] | None = None
    faces: int | None = None
    epochs: int = 20


@dataclass(frozen=True)
class Method:
    """What runs beside plain training.

    Attributes:
        config: Its config file.
        changes: To it.
        start: First epoch that differs, if not the case's.
        searches: Whether the config has a LatentTargetHook.
        targets: Makes those that it trains on from the first epoch, of plain training.
        suspects: Finds the labels that it leaves out, likewise.
        afterwards: Whether it goes on from the finished plain detector.
        alone: Whether it shares nothing with plain training.
    """

    config: Path
    changes: tuple[Change, ...] = ()
    start: int | None = None
    searches: bool = True
    targets: Callable[[Run], Made] | None = None
    suspects: Callable[[Run], Made] | None = None
    afterwards: bool = False
    alone: bool = False


# Take several trainings: only if they are asked for.
RATIOS = {"": 0.1, ", ratio 1": 1.0, ", ratio 0.01": 0.01}
ON_REQUEST = (
    *("restart", "cross-fit", "suspects", "suspects, folds"),
    *("plain, twice as long", "plain, afterwards"),
    *(f"paper, afterwards{name}" for name in RATIOS),
)


def restarted(plain: Run) -> Made:
    """Return targets that the finished plain detector finds."""
    out = plain.folder / "targets.npz"
    command = ("tools/search_targets.py", plain.planned, plain.checkpoint)
    return Made(out, (*command, "--out", out), plain)


def cross_fitted(plain: Run) -> Made:
    """Return targets that detectors of five folds find."""
    folder = plain.folder / "cross_fit"
    out = folder / "targets.npz"
    command = ("tools/cross_fit.py", plain.planned, "--work-dir", folder)
    return Made(out, (*command, "--out", out), plain)


AUDIT = "tools/analysis/audit_annotations.py"


def audited(plain: Run) -> Made:
    """Return what the finished plain detector suspects."""
    folder = plain.folder / "audit"
    command = (AUDIT, plain.planned, plain.checkpoint, "--out-dir", folder)
    return Made(folder / "landmarks.csv", command, plain)


def audited_by_folds(plain: Run) -> Made:
    """Return what detectors of five folds suspect."""
    folder = plain.folder / "audit_folds"
    command = (AUDIT, plain.planned, "--folds", 5)
    command += ("--work-dir", folder / "trainings", "--out-dir", folder)
    return Made(folder / "landmarks.csv", command, plain)


NOISE_CASES = {
    "none": NoiseCase("none"),
    "realistic": NoiseCase("realistic"),
    "heavy": NoiseCase("heavy"),
    "none, 250 faces": NoiseCase("none", 250, 80),
    "heavy, 250 faces": NoiseCase("heavy", 250, 80),
    "gross errors": NoiseCase("gross"),
    "none, narrow Gaussians": NoiseCase("none", change=narrow),
    "heavy, narrow Gaussians": NoiseCase("heavy", change=narrow),
}
REAL_CASES = {
    "as annotated": RealCase(),
    "displaced": RealCase(dict(contour_along=0.078, brow_along=0.032, shared=0.3)),
    "as annotated, 250 faces": RealCase(None, 250, 80),
    "displaced, 250 faces": RealCase(
        dict(contour_along=0.156, brow_along=0.064, shared=0.3), 250, 80
    ),
}
# Without the hook: the data set's own annotations.
PLAIN_CONFIGS = {
    data: CONFIGS / f"slim-hourglass_plain_{data}-96x96.py"
    for data in ("synthetic", "300w-subset")
}
SYNTHETIC = CONFIGS / "slim-hourglass_sa_synthetic-96x96.py"
NO_CONSENSUS = latent_targets(consensus=None)
ABLATIONS = {
    "aligned": (),
    "no consensus": (NO_CONSENSUS, searching(likelihood=2 / 3)),
    "no consensus, likelihood=1/3": (NO_CONSENSUS, searching(likelihood=1 / 3)),
    "no consensus, previous": (NO_CONSENSUS, latent_targets(anchor="previous")),
    "no sliding curve": (consensus(sliding=[]),),
    "slide_share=0.5": (consensus(slide_share=0.5),),
    "noise_share=0.5": (consensus(noise_share=0.5),),
    "strong landmarks frozen": (latent_targets(freeze=list(GROUPS_68["strong"])),),
    "all but the contour frozen": (
        latent_targets(freeze=sorted({*GROUPS_68["all"]} - {*GROUPS_68["contour"]})),
    ),
    "start=4": (),
    "start=12": (),
    "search every 3rd epoch": (latent_targets(interval=3),),
    "momentum=0.9": (latent_targets(momentum=0.9),),
    "likelihood=2/3": (searching(likelihood=2 / 3),),
    "likelihood=1/3": (searching(likelihood=1 / 3),),
    "prior=4/3": (searching(prior=4 / 3),),
    "radius=8/3": (searching(radius=8 / 3),),
    "patch_radius=4/3": (searching(patch_radius=4 / 3),),
    "patch_radius=2": (searching(patch_radius=2.0),),
    "minimum, whole cells": (searching(subcell="none"),),
    "minimum, parabola": (searching(subcell="parabola"),),
}
OTHER_STARTS = {"start=4": 4, "start=12": 12}


class Comparison(Run):
    """A run of one method in one case of a part."""

    part = property(lambda self: self.names[0])
    case = property(lambda self: self.names[1])
    method = property(lambda self: self.names[2])


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/alignment_study", cases=())
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="PART",
        help="noise, real, ablations, compare CONFIG",
    )
    parser.add_argument("--methods", nargs="+", help="only these beside plain")
    args = parser.parse_args()
    args.config = None
    if "compare" in args.parts:
        position = args.parts.index("compare") + 1
        if position == len(args.parts):
            parser.error("compare needs a config: compare CONFIG")
        args.config = Path(args.parts.pop(position))
    unknown = set(args.parts) - set(PLANS)
    if unknown:
        parser.error(f"unknown part {sorted(unknown)}; there are {sorted(PLANS)}")
    return args


@cache
def own_start(config: Path) -> int:
    """Return the epoch where a config's search starts.

    Raises:
        SystemExit: If it has no LatentTargetHook.
    """
    try:
        return hook(Config.fromfile(config)).start
    except ValueError as error:
        raise SystemExit(
            f"{config} has no LatentTargetHook: nothing to compare"
        ) from error


@dataclass(frozen=True)
class Case:
    """What plain training and the methods beside it have in common."""

    part: str
    name: str
    config: Path
    start: int
    changes: tuple[Change, ...] = ()
    data_root: Path | None = None
    interval: int = 1  # epochs from one kept checkpoint of plain training to the next

    def runs(
        self, seed: int, methods: Mapping[str, Method], args, plain: str = "plain"
    ) -> Iterator[Comparison]:
        """Yield plain training and runs that branch off it at their start."""
        common = dict(seed=seed, work_dir=Path(args.work_dir), data_root=self.data_root)
        last = merged(args.cfg_options)
        kept = keep_checkpoints(-1, self.interval)
        never = latent_targets(start=NEVER)
        first = Comparison(
            (self.part, self.name, plain),
            config=self.config,
            changes=(kept, *self.changes, never, last),
            **common,
        )
        yield first
        for name, method in methods.items():
            changes, begins = self._differs(method, first)
            yield Comparison(
                (self.part, self.name, name),
                config=method.config,
                changes=(keep_checkpoints(1), *self.changes, *changes, last),
                **begins,
                **common,
            )

    def _differs(self, method: Method, first: Comparison) -> tuple[tuple, dict]:
        """Return a method's changes, and what its run begins with."""
        make = method.targets or method.suspects
        if make is not None:
            made = make(first)
            given: dict = dict(targets=str(made.path))
            if method.suspects is not None:
                given = dict(suspects=dict(file=str(made.path)))
            return (latent_targets(start=None, **given),), dict(needs=made)
        if method.alone:
            return method.changes, {}
        start = self.start if method.start is None else method.start
        search = latent_targets(start=0 if method.afterwards else start)
        changes = ((search,) if method.searches else ()) + method.changes
        if method.afterwards:
            return (going_on(first.epochs // 2), *changes), dict(after=first)
        return changes, dict(after=first, start=start)


def methods_for(data: str, truth: Change | None = None) -> dict[str, Method]:
    """Return the methods beside plain training.

    Args:
        data: As in the configs' names.
        truth: What trains on the truth, if it is known.
    """
    config = CONFIGS / f"slim-hourglass_sa_{data}-96x96.py"
    paper = CONFIGS / f"slim-hourglass_sa-paper_{data}-96x96.py"
    methods = {
        "aligned": Method(config),
        "restart": Method(config, targets=restarted),
        "cross-fit": Method(config, targets=cross_fitted),
        "suspects": Method(config, suspects=audited),
        "suspects, folds": Method(config, suspects=audited_by_folds),
        "paper": Method(paper),
        "plain, twice as long": Method(
            PLAIN_CONFIGS[data], (lengthened(2),), searches=False, alone=True
        ),
        "plain, afterwards": Method(
            PLAIN_CONFIGS[data], searches=False, afterwards=True
        ),
    }
    for name, ratio in RATIOS.items():
        methods[f"paper, afterwards{name}"] = Method(
            paper, (at_ratio(ratio),), afterwards=True
        )
    if truth:
        methods["perfect targets"] = Method(
            PLAIN_CONFIGS[data], (truth,), searches=False
        )
    return methods


def budget(config: Path, epochs: int) -> tuple[int, tuple[Change, ...]]:
    """Return the start of the search at its share of 20 epochs, and the schedule."""
    start = own_start(config) * epochs // 20
    return start, (scheduled(epochs), validated(epochs // 10))


def noise_runs(
    part: str, name: str, case: NoiseCase, seed: int, args
) -> Iterator[Comparison]:
    """Yield the runs of a case of procedural faces, with one seed."""
    start, schedule = budget(SYNTHETIC, case.epochs)
    faces = training_faces(noise=case.noise, num_samples=case.faces)
    changes = (*schedule, faces, case.change)
    truth = None if case.noise == "none" else training_faces(noise="none")
    interval = max(1, case.epochs // 20)
    here = Case(part, name, SYNTHETIC, start, changes, interval=interval)
    yield from here.runs(seed, methods_for("synthetic", truth), args)


def plan_noise(args) -> Iterator[Comparison]:
    """Yield the runs on procedural faces."""
    for seed in args.seeds:
        for name, case in NOISE_CASES.items():
            yield from noise_runs("noise", name, case, seed, args)


def data_for(case: str, seed: int, source: Path, args) -> Path:
    """Return the folder that a case of the real faces trains on."""
    if REAL_CASES[case].noise is None and REAL_CASES[case].faces is None:
        return source
    name = case.replace(", ", "_").replace(" ", "_")
    return (Path(args.work_dir) / "real" / f"{name}_seed{seed}").resolve()


def undisplaced(case: str) -> str:
    """Return the same case of the real faces, its annotations as they are."""
    return case.replace("displaced", "as annotated")


def plan_real(args) -> Iterator[Comparison]:
    """Yield the runs on real faces."""
    source = Path(os.environ.get("DATA_ROOT", ""))
    if not (source / "train.txt").is_file():
        raise SystemExit("real needs DATA_ROOT: a folder with train.txt and val.txt")
    config = CONFIGS / "slim-hourglass_sa_300w-subset-96x96.py"
    for seed in args.seeds:
        for name, case in REAL_CASES.items():
            truth = None
            if case.noise:
                folder = data_for(undisplaced(name), seed, source, args)
                truth = training_faces(data_root=str(folder))
            start, schedule = budget(config, case.epochs)
            data = data_for(name, seed, source, args)
            interval = max(1, case.epochs // 20)
            yield from Case("real", name, config, start, schedule, data, interval).runs(
                seed, methods_for("300w-subset", truth), args
            )


def plan_ablations(args) -> Iterator[Comparison]:
    """Yield the runs that differ from alignment in one option."""
    case = Case("ablations", "realistic", SYNTHETIC, own_start(SYNTHETIC))
    methods = {
        name: Method(SYNTHETIC, changes, OTHER_STARTS.get(name))
        for name, changes in ABLATIONS.items()
    }
    plain, truth = PLAIN_CONFIGS["synthetic"], training_faces(noise="none")
    methods["perfect targets"] = Method(plain, (truth,), searches=False)
    methods["plain, again"] = Method(plain, searches=False)
    other_loss = Case(case.part, case.name, SYNTHETIC, case.start, (squared_error,))
    for seed in args.seeds:
        yield from case.runs(seed, methods, args)
        yield from other_loss.runs(
            seed, {"aligned, MSE loss": Method(SYNTHETIC)}, args, "plain, MSE loss"
        )


def plan_compare(args) -> Iterator[Comparison]:
    """Yield the runs of the user's own config."""
    case = Case("compare", args.config.stem, args.config, own_start(args.config))
    for seed in args.seeds:
        yield from case.runs(seed, {"aligned": Method(args.config)}, args)


PLANS = dict(
    noise=plan_noise, real=plan_real, ablations=plan_ablations, compare=plan_compare
)


def changed_copy(
    source: Path,
    target: Path,
    seed: int,
    noise: Mapping[str, float] | None,
    count: int | None,
) -> None:
    """Copy a .pts folder, images linked, annotations of training faces displaced.

    Args:
        source: With train.txt and val.txt.
        target: The copy; left alone if it exists.
        seed: Of the noise and of the choice.
        noise: What is displaced, if anything.
        count: How many of the training faces, chosen at random; None: all.
    """
    if target.exists():
        return
    noise = get_noise(noise or {})
    with atomic_folder(target) as unfinished:
        for split in ("train", "val"):
            faces = PtsFaceDataset(data_root=str(source), ann_file=f"{split}.txt")
            numbers, names = range(len(faces)), []
            if count and split == "train":
                chosen = np.random.default_rng(seed).permutation(len(faces))[:count]
                numbers = sorted(chosen.tolist())
            for number in numbers:
                info = faces.get_data_info(number)
                keypoints = info["keypoints"][0]
                if split == "train":
                    rng = np.random.default_rng([seed, number])
                    keypoints = displace(keypoints, rng, noise)
                image = Path(info["img_path"])
                names.append(copy_face(image, source, unfinished, keypoints))
            write_list(unfinished / f"{split}.txt", names)


def copy_data(runs: Sequence[Comparison], args) -> None:
    """Make the folders that runs on real faces train on."""
    for case, seed in sorted({(r.case, r.seed) for r in runs if r.part == "real"}):
        source = Path(os.environ["DATA_ROOT"])
        for name in {case, undisplaced(case)}:
            folder = data_for(name, seed, source, args)
            if folder != source:
                made = REAL_CASES[name]
                changed_copy(source, folder, seed, made.noise, made.faces)


def truth_of(run: Comparison, keys: Sequence[str]) -> np.ndarray | None:
    """Return the true landmarks ``(N, 68, 2)`` of training faces, where known.

    On real faces the annotations before they were displaced.
    """
    if run.part == "real":
        if REAL_CASES[run.case].noise is None:
            return None
        source = Path(os.environ["DATA_ROOT"])
        return np.stack([read_pts(source / f"{key}.pts", 68) for key in keys])
    if keys[0].startswith("synthetic/"):
        where = [key.split("/")[1:] for key in keys]
        return np.stack([true_keypoints(int(s[4:]), int(i)) for s, i in where])
    return None


def target_errors(run: Comparison) -> dict[str, float]:
    """Return RMS errors of annotations and latent targets, % of the eye distance.

    Nothing where the truth is not known or training held no targets.
    """
    state = saved_targets(run)
    truth = truth_of(run, state["keys"]) if state else None
    if truth is None:
        return {}
    return {
        f"{name} RMS/{region}": value
        for name in ("annotations", "targets")
        for region, value in region_errors(state[name].double().numpy(), truth).items()
    }


def region_errors(
    points: np.ndarray, truth: np.ndarray, regions: Sequence[str] = REGIONS
) -> dict[str, float]:
    """Return RMS errors by region, percent of the eye distance.

    Args:
        points: ``(..., N, K, 2)``, of one annotator or of several.
        truth: ``(N, K, 2)``.
        regions: Names of :func:`landmark_groups`.
    """
    groups = landmark_groups(truth.shape[1])
    error = 100 * np.linalg.norm(points - truth, axis=-1) / face_unit(truth)[:, None]
    return {
        region: float(np.sqrt((error[..., groups[region]] ** 2).mean()))
        for region in regions
    }


def measure(run: Comparison) -> dict[str, float]:
    """Return all figures of a finished run, percent."""
    last = validations(run, "NME/")[run.epochs]
    figures = {k: 100 * v for k, v in last.items() if "/inter_" in k}
    return {**figures, **target_errors(run)}


def wanted(run: Comparison, methods: Sequence[str] | None) -> bool:
    """Return whether a run is asked for; plain training always is."""
    if run.after is None and run.needs is None and run.method not in ON_REQUEST:
        return True
    return run.method in methods if methods else run.method not in ON_REQUEST


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = [run for part in args.parts for run in PLANS[part](args)]
    runs = [
        run
        for run in runs
        if not args.cases or run.case in args.cases
        if wanted(run, args.methods)
    ]
    if not args.report:
        copy_data(runs, args)
        train_all(runs, args.jobs)
    report([run for run in runs if run.finished], Path(args.work_dir))


def report(runs: Sequence[Comparison], out: Path) -> None:
    """Print the tables; write them, csv files and a picture of each part.

    Raises:
        SystemExit: If there are no runs.
    """
    if not runs:
        raise SystemExit(NOTHING_FINISHED)
    figures = {run.key: measured(run, measure) for run in runs}
    results, curves = [], []
    for run in runs:
        head = dict(part=run.part, case=run.case, method=run.method, seed=run.seed)
        results.append({**head, "epoch": run.epochs, **rounded(figures[run.key])})
        for epoch, metrics in validations(run, "NME/").items():
            shown = {k: 100 * v for k, v in metrics.items() if "/inter_" in k}
            curves.append({**head, "epoch": epoch, **rounded(shown)})
    write_csv(out / "results.csv", results)
    write_csv(out / "curves.csv", curves)
    parts = dict.fromkeys(run.part for run in runs)
    text = "\n".join(
        f"**{part}**\n\n{table([r for r in runs if r.part == part], figures)}\n"
        for part in parts
    )
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)
    for part in parts:
        plot([r for r in runs if r.part == part], out / f"{part}.png")


Figures = Mapping[tuple, Mapping[str, float]]


def table(runs: Sequence[Comparison], figures: Figures) -> str:
    """Return one part's Markdown: percent, mean ± standard deviation over seeds."""
    known = {name for run in runs for name in figures[run.key]}
    columns = [c for c in COLUMNS if c[1] is None or c[1] in known]
    rows = []
    for case in dict.fromkeys(r.case for r in runs):
        here = [r for r in runs if r.case == case]
        plain = {r.seed: figures[r.key] for r in here if r.method == "plain"}
        if any("annotations RMS/weak" in f for f in plain.values()):
            rows.append([case, "(annotations)", "", *annotation_cells(columns, plain)])
        for method in dict.fromkeys(r.method for r in here):
            chosen = {r.seed: figures[r.key] for r in here if r.method == method}
            seeds = ", ".join(map(str, chosen))
            cells = method_cells(columns, method, chosen, plain)
            rows.append([case, method, seeds, *cells])
    return markdown(["case", "method", "seeds", *(title for title, _ in columns)], rows)


def annotation_cells(columns, plain: Figures) -> list[str]:
    """Return the errors of the annotations themselves, where a column has them."""
    return [
        spread(f[name.replace("targets", "annotations")] for f in plain.values())
        if name and "RMS" in name
        else ""
        for _, name in columns
    ]


def method_cells(columns, method: str, chosen: Figures, plain: Figures) -> list[str]:
    """Return a method's row; differences to plain training are paired by seed."""
    cells = []
    for _, name in columns:
        if name is None:
            cells.append("" if method == "plain" else relative(chosen, plain))
        elif method.startswith("plain") and "RMS" in name:
            cells.append("")
        else:
            cells.append(spread(f[name] for f in chosen.values() if name in f))
    return cells


def relative(chosen: Figures, plain: Figures, name: str = NME) -> str:
    """Return the mean relative difference, and each seed's."""
    changes = [
        100 * (f[name] / plain[seed][name] - 1)
        for seed, f in chosen.items()
        if seed in plain
    ]
    if not changes:
        return ""
    each = ", ".join(f"{c:+.1f}" for c in changes)
    return f"{statistics.mean(changes):+.1f} % ({each})"


def plot(runs: Sequence[Comparison], path: Path) -> None:
    """Draw the validation error by epoch, a panel a case."""
    cases = list(dict.fromkeys(r.case for r in runs))
    with panels(path, len(cases)) as row:
        for axes, case in zip(row, cases):
            here = [r for r in runs if r.case == case]
            for number, method in enumerate(dict.fromkeys(r.method for r in here)):
                series = [
                    {e: 100 * m[NME] for e, m in validations(r, "NME/").items()}
                    for r in here
                    if r.method == method
                ]
                curve(axes, series, method, number)
            axes.set(title=case, xlabel="epoch", yscale="log")
        row[0].set_ylabel(f"NME, {percent_unit(NUM_LANDMARKS)}")


if __name__ == "__main__":
    main()
