"""Train a semantic alignment config and its plain twin, over several seeds.

For every seed the twin is the same run with the search switched off. Both share
everything up to the epoch where the search starts, so that part is trained once:
the plain run leaves its checkpoint there and the aligned run resumes from it,
which gives what an uninterrupted run gives (tests/pose/hooks holds it to that).

Writes ``curves.csv`` (every validation of every run) and ``table.md`` (mean and
spread of the last epoch) into --work-dir. Finished runs are not repeated and
stopped ones go on, so the command can be given again.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import Config

NEVER = 10**9
METHODS = ("plain", "aligned")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config with a LatentTargetHook")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work-dir", default="work_dirs/compare_with_plain")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--cfg-options", nargs="+", default=[], help="for all runs")
    return parser.parse_args()


def find_hook(config):
    for i, hook in enumerate(config.get("custom_hooks", [])):
        if hook["type"] == "LatentTargetHook":
            return i, hook["start"]
    raise SystemExit("the config has no LatentTargetHook: nothing to compare")


def train(args, seed, method, position, start, last):
    folder = Path(args.work_dir) / f"seed{seed}_{method}"
    if (folder / f"epoch_{last}.pth").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"randomness.seed={seed}",
        "default_hooks.checkpoint.interval=1",
        "default_hooks.checkpoint.max_keep_ckpts=-1",
        "train_cfg.val_interval=1",
        *args.cfg_options,
    ]
    command = [sys.executable, str(Path(__file__).parent.parent / "train.py")]
    command += [args.config, "--work-dir", str(folder), "--resume"]
    if method == "plain":
        options.append(f"custom_hooks.{position}.start={NEVER}")
    elif not (folder / "last_checkpoint").exists():
        shared = Path(args.work_dir) / f"seed{seed}_plain" / f"epoch_{start}.pth"
        command.append(str(shared))
    print(f"seed {seed}, {method}: training in {folder}", flush=True)
    with open(folder / "train.log", "a") as log:
        done = subprocess.run(
            [*command, "--cfg-options", *options], stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise SystemExit(f"seed {seed}, {method}: training failed, see {log.name}")
    print(f"seed {seed}, {method}: done", flush=True)
    return folder


def curve(folder, last):
    """Epoch to metrics, from the run's own logs."""
    epochs = {}
    for path in sorted(folder.glob("*/vis_data/*.json")):
        if path.name == "scalars.json":
            continue
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if any(key.startswith("NME/") for key in record):
                epochs[record["step"]] = record
    return {epoch: epochs[epoch] for epoch in sorted(epochs) if epoch <= last}


def main():
    args = parse_args()
    config = Config.fromfile(args.config)
    position, start = find_hook(config)
    last = config.train_cfg.max_epochs

    def run_seed(seed):
        folders = {
            method: train(args, seed, method, position, start, last)
            for method in METHODS
        }
        curves = {method: curve(folder, last) for method, folder in folders.items()}
        before = {e: m for e, m in curves["plain"].items() if e <= start}
        curves["aligned"] = {**before, **curves["aligned"]}
        return curves

    with ThreadPoolExecutor(args.jobs) as pool:
        results = dict(zip(args.seeds, pool.map(run_seed, args.seeds)))

    names = [
        key
        for key in results[args.seeds[0]]["plain"][last]
        if key.startswith(("NME/", "FR@", "AUC@"))
    ]
    out = Path(args.work_dir)
    temporary = out / ".unfinished-curves.csv"
    with open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "method", "epoch", *names])
        for seed, curves in results.items():
            for method in METHODS:
                for epoch, metrics in curves[method].items():
                    values = [f"{metrics[n]:.6f}" for n in names]
                    writer.writerow([seed, method, epoch, *values])
    os.replace(temporary, out / "curves.csv")
    text = table(results, names, last, args)
    temporary = out / ".unfinished-table.md"
    temporary.write_text(text)
    os.replace(temporary, out / "table.md")
    print(text)


def table(results, names, last, args):
    """Markdown: percent, mean and standard deviation over the seeds."""
    seeds = ", ".join(map(str, results))
    lines = [
        f"`{Path(args.config).stem}`, epoch {last}, seeds {seeds}; percent, mean ± "
        "standard deviation over seeds; difference paired by seed.",
        "",
        "| metric | plain | aligned | aligned - plain |",
        "|---|---|---|---|",
    ]
    for name in names:
        values = {
            m: [100 * curves[m][last][name] for curves in results.values()]
            for m in METHODS
        }
        paired = [a - p for a, p in zip(values["aligned"], values["plain"])]
        cells = [spread(values[m]) for m in METHODS] + [spread(paired, sign=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def spread(values, sign=False):
    mean = statistics.mean(values)
    text = f"{mean:+.2f}" if sign else f"{mean:.2f}"
    return f"{text} ± {statistics.stdev(values):.2f}" if len(values) > 1 else text


if __name__ == "__main__":
    main()
