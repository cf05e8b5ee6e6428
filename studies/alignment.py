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

Plain and aligned runs of a seed share everything up to the epoch where the search
starts, so that part is trained once: the aligned run resumes from the plain one's
checkpoint, which gives what an uninterrupted run gives.

Writes ``results.csv`` (last epoch of every run), ``curves.csv`` (every validation),
``table.md`` and a picture for each part into --work-dir. Finished runs are not
repeated and stopped ones go on: give the command again.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from semamb_mm.faces.landmarks import face_unit, landmark_groups
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import read_pts, write_pts
from semamb_mm.pose.datasets import PtsFaceDataset
from semamb_mm.pose.latent_targets.store import CHECKPOINT_KEY
from semamb_mm.pose.metrics.face_nme import REGIONS_68
from semamb_mm.synthetic.annotators import displace, get_noise
from semamb_mm.synthetic.faces import true_keypoints

NEVER = 10**9
ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs/semantic_alignment"
REGIONS = ("weak", "contour", "brows", "strong", "all")

# Of the narrow Gaussians, cells: 3.2 % of the eye distance.
NARROW = (
    "model.head.decoder.sigma=0.75",
    "model.head.decoder.blur_kernel_size=5",
    "train_dataloader.dataset.pipeline.7.encoder.sigma=0.75",
)
# Case: annotators' noise, faces, epochs, more options.
NOISE_CASES = {
    "none": ("none", 1000, 20, ()),
    "realistic": ("realistic", 1000, 20, ()),
    "heavy": ("heavy", 1000, 20, ()),
    "none, 250 faces": ("none", 250, 80, ()),
    "heavy, 250 faces": ("heavy", 250, 80, ()),
    "gross errors": ("gross", 1000, 20, ()),
    "none, narrow Gaussians": ("none", 1000, 20, NARROW),
    "heavy, narrow Gaussians": ("heavy", 1000, 20, NARROW),
}
# Case: what is displaced on top of what annotators did, faces (None: all), epochs.
REAL_CASES = {
    "as annotated": (None, None, 20),
    "displaced": (dict(contour_along=0.078, brow_along=0.032, shared=0.3), None, 20),
    "as annotated, 250 faces": (None, 250, 80),
    "displaced, 250 faces": (
        dict(contour_along=0.156, brow_along=0.064, shared=0.3),
        250,
        80,
    ),
}
NO_NOISE = "train_dataloader.dataset.noise=none"
HOOK, SEARCH = "custom_hooks.1.", "model.head.search."
ABLATIONS = {
    "aligned": (),
    "no consensus": (HOOK + "consensus=None", SEARCH + "sigma_likelihood=2.0"),
    "no consensus, sigma_likelihood=1": (
        HOOK + "consensus=None",
        SEARCH + "sigma_likelihood=1.0",
    ),
    "no consensus, previous": (HOOK + "consensus=None", HOOK + "anchor=previous"),
    "no sliding curve": (HOOK + "consensus.sliding=[]",),
    "slide_share=0.5": (HOOK + "consensus.slide_share=0.5",),
    "noise_share=0.5": (HOOK + "consensus.noise_share=0.5",),
    "strong landmarks frozen": (HOOK + f"freeze={list(range(31, 68))}",),
    "all but the contour frozen": (HOOK + f"freeze={list(range(17, 68))}",),
    "start=4": (HOOK + "start=4",),
    "start=12": (HOOK + "start=12",),
    "search every 3rd epoch": (HOOK + "interval=3",),
    "momentum=1": (HOOK + "momentum=1.0",),
    "sigma_likelihood=2": (SEARCH + "sigma_likelihood=2.0",),
    "sigma_likelihood=1": (SEARCH + "sigma_likelihood=1.0",),
    "sigma_prior=2": (SEARCH + "sigma_prior=2.0",),
    "search_radius=4": (SEARCH + "search_radius=4",),
    "patch_radius=2": (SEARCH + "patch_radius=2",),
    "patch_radius=3": (SEARCH + "patch_radius=3",),
    "minimum, whole cells": (SEARCH + "subcell=none",),
    "minimum, parabola": (SEARCH + "subcell=parabola",),
}
# Without the hook: from ``start`` on the data set's own annotations.
PLAIN_CONFIGS = {
    data: CONFIGS / f"slim-hourglass_plain_{data}-96x96.py"
    for data in ("synthetic", "300w-subset")
}
MSE = ("model.head.loss.type=KeypointMSELoss", "model.head.loss.use_target_weight=True")


@dataclass
class Run:
    """One training.

    Attributes:
        part, case, method, seed: what it belongs to.
        config: its config file.
        options: ``--cfg-options``.
        epochs: its budget.
        shared: the run whose first ``start`` epochs it shares.
        start: first epoch that searches.
        data: data root, for .pts folders.
    """

    part: str
    case: str
    method: str
    seed: int
    config: Path
    options: tuple
    epochs: int
    start: int = NEVER
    shared: "Run | None" = None
    data: Path | None = None
    folder: Path = field(init=False)

    def place(self, work_dir):
        names = (self.part, self.case, self.method, f"seed{self.seed}")
        clean = [
            "".join(c if c.isalnum() or c in "=.-" else "_" for c in n) for n in names
        ]
        self.folder = Path(work_dir).joinpath(*clean)

    @property
    def checkpoint(self):
        return self.folder / f"epoch_{self.epochs}.pth"


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="PART",
        help="noise, real, ablations, compare CONFIG",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cases", nargs="+", help="only these cases of a part")
    parser.add_argument("--methods", nargs="+", help="only these beside plain")
    parser.add_argument("--work-dir", default="work_dirs/alignment_study")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="for all runs")
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


def find_hook(config):
    """Position and start of a config's LatentTargetHook."""
    for i, hook in enumerate(Config.fromfile(config).get("custom_hooks", [])):
        if hook["type"] == "LatentTargetHook":
            return i, hook["start"]
    raise SystemExit(f"{config} has no LatentTargetHook: nothing to compare")


def scaled(epochs, start):
    """Options for another budget, and the start at the same share of it."""
    start = start * epochs // 20
    schedule = (f"train_cfg.max_epochs={epochs}", f"param_scheduler.1.end={epochs}")
    return schedule, start


def pair(part, case, seed, config, methods, common, epochs, start, data=None):
    """Plain training and aligned runs that branch off it at their start."""
    position, _ = find_hook(config)
    never = (f"custom_hooks.{position}.start={NEVER}",)
    plain = Run(part, case, "plain", seed, config, common + never, epochs, data=data)
    runs = [plain]
    for method, (other, options) in methods.items():
        first = start
        for option in options:
            if option.startswith(HOOK + "start="):
                first = int(option.split("=")[1])
        search = (f"custom_hooks.{position}.start={first}",)
        begin = () if other in PLAIN_CONFIGS.values() else search
        runs.append(
            Run(
                part, case, method, seed, other, common + begin + options,
                epochs, first, plain, data,
            )
        )  # fmt: skip
    return runs


def methods_for(data, truth=None):
    """Methods beside plain training; with the option that gives the truth, if any."""
    methods = {
        "aligned": (CONFIGS / f"slim-hourglass_sa_{data}-96x96.py", ()),
        "paper": (CONFIGS / f"slim-hourglass_sa-paper_{data}-96x96.py", ()),
    }
    if truth:
        methods["perfect targets"] = (PLAIN_CONFIGS[data], (truth,))
    return methods


def plan_noise(args):
    config = CONFIGS / "slim-hourglass_sa_synthetic-96x96.py"
    for seed in args.seeds:
        for case, (noise, faces, epochs, options) in NOISE_CASES.items():
            schedule, start = scaled(epochs, find_hook(config)[1])
            common = (
                *schedule,
                f"train_dataloader.dataset.noise={noise}",
                f"train_dataloader.dataset.num_samples={faces}",
                f"train_cfg.val_interval={epochs // 10}",
                *options,
            )
            methods = methods_for("synthetic", None if noise == "none" else NO_NOISE)
            yield from pair("noise", case, seed, config, methods, common, epochs, start)


def data_for(case, seed, source, args):
    """Folder that a case of the real faces trains on."""
    if not any(REAL_CASES[case][:2]):
        return source
    name = case.replace(", ", "_").replace(" ", "_")
    return Path(args.work_dir) / "real" / f"{name}_seed{seed}"


def undisplaced(case):
    """The same case of the real faces, its annotations as they are."""
    return case.replace("displaced", "as annotated")


def plan_real(args):
    source = Path(os.environ.get("DATA_ROOT", ""))
    if not (source / "train.txt").is_file():
        raise SystemExit("real needs DATA_ROOT: a folder with train.txt and val.txt")
    config = CONFIGS / "slim-hourglass_sa_300w-subset-96x96.py"
    for seed in args.seeds:
        for case, (noise, _, epochs) in REAL_CASES.items():
            data, truth = data_for(case, seed, source, args), None
            if noise:
                folder = data_for(undisplaced(case), seed, source, args)
                truth = f"train_dataloader.dataset.data_root={folder}"
            schedule, start = scaled(epochs, find_hook(config)[1])
            common = (*schedule, f"train_cfg.val_interval={epochs // 10}")
            methods = methods_for("300w-subset", truth)
            yield from pair(
                "real", case, seed, config, methods, common, epochs, start, data
            )


def plan_ablations(args):
    config = CONFIGS / "slim-hourglass_sa_synthetic-96x96.py"
    start = find_hook(config)[1]
    for seed in args.seeds:
        methods = {name: (config, tuple(o)) for name, o in ABLATIONS.items()}
        methods["perfect targets"] = (PLAIN_CONFIGS["synthetic"], (NO_NOISE,))
        methods["plain, again"] = (PLAIN_CONFIGS["synthetic"], ())
        yield from pair("ablations", "realistic", seed, config, methods, (), 20, start)
        methods = {"aligned, MSE loss": (config, ())}
        runs = pair("ablations", "realistic", seed, config, methods, MSE, 20, start)
        runs[0].method = "plain, MSE loss"
        yield from runs


def plan_compare(args):
    position, start = find_hook(args.config)
    epochs = Config.fromfile(args.config).train_cfg.max_epochs
    for seed in args.seeds:
        yield from pair(
            "compare", args.config.stem, seed, args.config,
            {"aligned": (args.config, ())}, (), epochs, start,
        )  # fmt: skip


PLANS = dict(
    noise=plan_noise, real=plan_real, ablations=plan_ablations, compare=plan_compare
)


def changed_copy(source, target, seed, noise, count):
    """A copy of a .pts folder, images linked, with a random part of the training
    faces, their annotations displaced."""
    if target.exists():
        return
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    noise = get_noise(noise or {})
    for split in ("train", "val"):
        faces = PtsFaceDataset(data_root=str(source), ann_file=f"{split}.txt")
        numbers, lines = range(len(faces)), []
        if count and split == "train":
            chosen = np.random.default_rng(seed).permutation(len(faces))[:count]
            numbers = sorted(chosen.tolist())
        for number in numbers:
            info = faces.get_data_info(number)
            image = Path(info["img_path"])
            copy = unfinished / image.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(image.resolve())
            keypoints = info["keypoints"][0]
            if split == "train":
                rng = np.random.default_rng([seed, number])
                keypoints = displace(keypoints, rng, noise)
            write_pts(copy.with_suffix(".pts"), keypoints)
            lines.append(f"{image.relative_to(source)}\n")
        (unfinished / f"{split}.txt").write_text("".join(lines))
    os.replace(unfinished, target)


def train(run, args):
    """Train what is not trained yet; True if there was something to do."""
    if run.checkpoint.exists():
        return False
    run.folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"randomness.seed={run.seed}",
        "default_hooks.checkpoint.interval=1",
        "default_hooks.checkpoint.max_keep_ckpts=" + ("1" if run.shared else "-1"),
        *run.options,
        *args.cfg_options,
    ]
    command = [sys.executable, str(ROOT / "tools/train.py"), str(run.config)]
    command += ["--work-dir", str(run.folder), "--resume"]
    if run.shared and not (run.folder / "last_checkpoint").exists():
        command.append(str(run.shared.folder / f"epoch_{run.start}.pth"))
    env = dict(os.environ)
    env.setdefault("OMP_NUM_THREADS", "1")
    if run.data:
        env["DATA_ROOT"] = str(run.data)
    with open(run.folder / "train.log", "a") as log:
        done = subprocess.run(
            [*command, "--cfg-options", *options], stdout=log, stderr=log, env=env
        )
    if done.returncode:
        raise SystemExit(f"{run.folder}: training failed, see {log.name}")
    return True


def curve(run):
    """Epoch to metrics, from the run's own logs."""
    epochs = {}
    for path in sorted(run.folder.glob("*/vis_data/*.json")):
        if path.name == "scalars.json":
            continue
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if any(key.startswith("NME/") for key in record):
                epochs[record["step"]] = record
    return {epoch: epochs[epoch] for epoch in sorted(epochs) if epoch <= run.epochs}


def target_errors(run):
    """RMS errors of annotations and latent targets, percent of the eye distance.

    Against the truth, or against the annotations before they were displaced; None
    where neither is known or training held no targets.
    """
    state = torch.load(run.checkpoint, map_location="cpu").get(CHECKPOINT_KEY)
    if state is None:
        return None
    annotations = state["annotations"].double().numpy()
    targets = state["targets"].double().numpy()
    if run.data:
        source = Path(os.environ["DATA_ROOT"])
        if REAL_CASES[run.case][0] is None:
            return None
        truth = np.stack([read_pts(source / f"{key}.pts", 68) for key in state["keys"]])
    elif state["keys"][0].startswith("synthetic/"):
        where = [key.split("/")[1:] for key in state["keys"]]
        truth = np.stack([true_keypoints(int(s[4:]), int(i)) for s, i in where])
    else:
        return None
    unit = face_unit(truth)[:, None]
    errors = {}
    for name, points in (("annotations", annotations), ("targets", targets)):
        error = 100 * np.linalg.norm(points - truth, axis=-1) / unit
        groups = landmark_groups(error.shape[1])
        for region in REGIONS:
            value = np.sqrt((error[:, groups[region]] ** 2).mean())
            errors[f"{name} RMS/{region}"] = float(value)
    return errors


def measure(run):
    """All figures of a finished run, in percent; cached beside it."""
    cache = run.folder / "figures.json"
    if not cache.exists():
        last = curve(run)[run.epochs]
        figures = {k: 100 * v for k, v in last.items() if "/inter_" in k}
        figures.update(target_errors(run) or {})
        with atomic_write(cache) as file:
            json.dump(figures, file, indent=2)
    return json.loads(cache.read_text())


def main():
    args = parse_args()
    runs = [run for part in args.parts for run in PLANS[part](args)]
    runs = [
        run
        for run in runs
        if not args.cases or run.case in args.cases
        if not args.methods or run.method in args.methods or run.shared is None
    ]
    for run in runs:
        run.place(args.work_dir)
    if not args.report:
        train_all(runs, args)
    report([run for run in runs if run.checkpoint.exists()], args)


def train_all(runs, args):
    for case, seed in sorted({(r.case, r.seed) for r in runs if r.part == "real"}):
        source = Path(os.environ["DATA_ROOT"])
        for name in {case, undisplaced(case)}:
            noise, faces, _ = REAL_CASES[name]
            folder = data_for(name, seed, source, args)
            if folder != source:
                changed_copy(source, folder, seed, noise, faces)
    began, done = time.time(), []

    def work(group):
        for run in group:
            started = time.time()
            trained = train(run, args)
            done.append(run)
            took = f"{(time.time() - started) / 60:.1f} min" if trained else "was there"
            print(
                f"[{len(done)}/{len(runs)}] {run.part}, {run.case}, {run.method}, seed "
                f"{run.seed}: {took}; {(time.time() - began) / 60:.0f} min in all",
                flush=True,
            )

    # A plain run and those that branch off it come one after the other.
    groups = [
        [plain, *(r for r in runs if r.shared is plain)]
        for plain in runs
        if plain.shared is None
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(work, groups))


def report(runs, args):
    if not runs:
        raise SystemExit("no run is finished yet: nothing to report")
    out = Path(args.work_dir)
    figures = {id(run): measure(run) for run in runs}
    names = list(dict.fromkeys(n for f in figures.values() for n in f))
    head = ["part", "case", "method", "seed", "epoch"]
    with atomic_write(out / "results.csv", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head + names)
        for run in runs:
            row = [figures[id(run)].get(n) for n in names]
            row = ["" if v is None else f"{v:.4f}" for v in row]
            writer.writerow(
                [run.part, run.case, run.method, run.seed, run.epochs, *row]
            )
    with atomic_write(out / "curves.csv", newline="") as file:
        writer = csv.writer(file)
        keys = [n for n in names if "/inter_" in n]
        writer.writerow(head + keys)
        for run in runs:
            for epoch, metrics in curve(run).items():
                row = [f"{100 * metrics[k]:.4f}" for k in keys]
                writer.writerow([run.part, run.case, run.method, run.seed, epoch, *row])
    text = tables(runs, figures)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)
    for part in dict.fromkeys(run.part for run in runs):
        plot([r for r in runs if r.part == part], figures, out / f"{part}.png")


def tables(runs, figures):
    """Markdown: percent, mean ± standard deviation; differences paired by seed."""
    lines = []
    for part in dict.fromkeys(run.part for run in runs):
        mine = [r for r in runs if r.part == part]
        columns = [
            ("NME", "NME/inter_ocular"),
            ("against plain", None),
            *((r, f"NME/inter_ocular/{r}") for r in REGIONS_68),
            ("inter-pupil NME", "NME/inter_pupil"),
            ("weak targets, RMS", "targets RMS/weak"),
            ("strong targets, RMS", "targets RMS/strong"),
        ]
        known = {n for r in mine for n in figures[id(r)]}
        columns = [c for c in columns if c[1] is None or c[1] in known]
        lines += [f"**{part}**", ""]
        lines.append(
            "| case | method | seeds | " + " | ".join(c[0] for c in columns) + " |"
        )
        lines.append("|---" * (3 + len(columns)) + "|")
        for case in dict.fromkeys(r.case for r in mine):
            here = [r for r in mine if r.case == case]
            plain = {r.seed: figures[id(r)] for r in here if r.method == "plain"}
            if any("annotations RMS/weak" in f for f in plain.values()):
                cells = ["" if c[0][-3:] != "RMS" else spread(
                    [f[c[1].replace("targets", "annotations")] for f in plain.values()]
                ) for c in columns]  # fmt: skip
                lines.append(
                    f"| {case} | (annotations) | | " + " | ".join(cells) + " |"
                )
            for method in dict.fromkeys(r.method for r in here):
                chosen = {r.seed: figures[id(r)] for r in here if r.method == method}
                cells = []
                for title, name in columns:
                    if title == "against plain":
                        cells.append(
                            "" if method == "plain" else relative(chosen, plain)
                        )
                    elif method.startswith("plain") and "RMS" in name:
                        cells.append("")
                    else:
                        values = [f[name] for f in chosen.values() if name in f]
                        cells.append(spread(values))
                seeds = ", ".join(map(str, chosen))
                lines.append(
                    f"| {case} | {method} | {seeds} | " + " | ".join(cells) + " |"
                )
        lines.append("")
    return "\n".join(lines)


def relative(chosen, plain, name="NME/inter_ocular"):
    """Mean relative difference, and each seed's."""
    changes = [
        100 * (f[name] / plain[seed][name] - 1)
        for seed, f in chosen.items()
        if seed in plain
    ]
    if not changes:
        return ""
    each = ", ".join(f"{c:+.1f}" for c in changes)
    return f"{statistics.mean(changes):+.1f} % ({each})"


def spread(values):
    if not values:
        return ""
    text = f"{statistics.mean(values):.2f}"
    return f"{text} ± {statistics.stdev(values):.2f}" if len(values) > 1 else text


def plot(runs, figures, path):
    """Validation error by epoch, a panel a case; thin lines are single seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = list(dict.fromkeys(r.case for r in runs))
    figure, panels = pyplot.subplots(
        1, len(cases), figsize=(4.5 * len(cases), 3.6), squeeze=False
    )
    for axes, case in zip(panels[0], cases):
        here = [r for r in runs if r.case == case]
        for number, method in enumerate(dict.fromkeys(r.method for r in here)):
            colour = f"C{number % 10}"
            series = [curve(r) for r in here if r.method == method]
            series = [
                {e: 100 * m["NME/inter_ocular"] for e, m in c.items()} for c in series
            ]
            for values in series:
                axes.plot(
                    values.keys(), values.values(), color=colour, lw=0.6, alpha=0.5
                )
            common = sorted(set.intersection(*(set(v) for v in series)))
            mean = [statistics.mean(v[e] for v in series) for e in common]
            axes.plot(common, mean, color=colour, lw=1.8, label=method)
        axes.set(title=case, xlabel="epoch", yscale="log")
        axes.legend(fontsize=7)
    panels[0][0].set_ylabel("NME, % of the inter-ocular distance")
    figure.tight_layout()
    temporary = path.with_name(f".unfinished-{path.name}")
    figure.savefig(temporary, dpi=110)
    pyplot.close(figure)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
