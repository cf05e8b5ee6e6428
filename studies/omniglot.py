"""Compare pair losses in zero-shot retrieval of Omniglot, clean and with wrong labels.

Every method trains the same network by the same schedule, sampler, augmentation
and joint cross-entropy; what differs is the metric loss. ``triplet`` (semi-hard
mining) and ``multi_similarity`` are pytorch-metric-learning's, with their
published settings. ``cross_entropy`` has no metric loss, ``contrastive_alone``
no cross-entropy. The last epoch is evaluated; none is selected.

Writes ``curves.csv`` (every validation), ``results.csv`` (the last one, and how
well attention finds wrong labels), ``table.md``, ``recall.png`` and ``roc.png``
into --work-dir. Finished runs are not repeated: give the command again to go on.
"""

import argparse
import contextlib
import csv
import json
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import deepcopy
from multiprocessing import get_context
from pathlib import Path

CONFIG = (
    Path(__file__).parents[1] / "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"
)
METHODS = {
    "cross_entropy": dict(loss=dict(osm=False, caa=False, loss_weight=0.0)),
    "contrastive_alone": dict(
        loss=dict(osm=False, caa=False),
        classification_loss=dict(type="CrossEntropyLoss", loss_weight=0.0),
    ),
    "contrastive": dict(loss=dict(osm=False, caa=False)),
    "osm": dict(loss=dict(osm=True, caa=False)),
    "caa": dict(loss=dict(osm=False, caa=True)),
    "osm_caa": dict(loss=dict(osm=True, caa=True)),
    "triplet": dict(
        loss=dict(_delete_=True, type="LibraryLoss", name="TripletMarginLoss")
    ),
    "multi_similarity": dict(
        loss=dict(_delete_=True, type="LibraryLoss", name="MultiSimilarityLoss")
    ),
}
SCORES = ("Recall@1", "mAP")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", help="of the config if left out")
    parser.add_argument("--work-dir", default="work_dirs/omniglot_study")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[0.0, 0.1, 0.2, 0.4],
        help="shares of wrong training labels",
    )
    parser.add_argument(
        "--methods", nargs="+", default=list(METHODS), choices=list(METHODS)
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--report", action="store_true", help="train nothing, report what is finished"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], help="for all runs, as in train.py"
    )
    return parser.parse_args()


def run_folder(args, method, noise, seed):
    return Path(args.work_dir) / f"{method}_noise{noise:g}_seed{seed}"


def is_finished(folder):
    return (folder / "result.json").exists()


def run_config(args, method, noise, seed):
    from mmengine.config import Config, DictAction

    cfg = Config.fromfile(CONFIG)
    # The class scores of the library's losses share the temperature too.
    temperature = cfg.model.head.loss.temperature
    cfg.merge_from_dict(
        dict(model=dict(head=dict(deepcopy(METHODS[method]), temperature=temperature)))
    )
    cfg.merge_from_dict(
        dict(
            randomness=dict(seed=seed),
            train_dataloader=dict(
                sampler=dict(seed=seed),
                dataset=dict(label_noise=noise, noise_seed=seed),
            ),
            default_hooks=dict(
                checkpoint=dict(
                    interval=cfg.train_cfg.max_epochs, max_keep_ckpts=1, save_best=None
                )
            ),
            visualizer=dict(vis_backends=[dict(type="LocalVisBackend")]),
            work_dir=str(run_folder(args, method, noise, seed)),
            experiment_name=f"{method}_{noise:g}_{seed}_{os.getpid()}",
        )
    )
    if args.data_root:
        for name in ("train", "val", "test"):
            cfg[f"{name}_dataloader"].dataset.data_root = args.data_root
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="*", action=DictAction, default={})
    options = parser.parse_args(["--cfg-options", *args.cfg_options])
    cfg.merge_from_dict(options.cfg_options)
    return cfg


def run(args, method, noise, seed):
    """Train one, write result.json and attention.npz into its folder."""
    import numpy as np
    from mmengine.runner import Runner

    import semamb_mm.pretrain  # noqa: F401

    register_library_loss()
    folder = run_folder(args, method, noise, seed)
    if not is_finished(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "train.log", "w") as log, contextlib.redirect_stdout(log):
            runner = Runner.from_cfg(run_config(args, method, noise, seed))
            metrics = runner.train() and runner.val_loop.run()
            attention, label, true = attention_to_labels(
                runner, runner.val_dataloader.dataset.pipeline
            )
        np.savez(folder / "attention.npz", attention=attention, label=label, true=true)
        result = dict(
            method=method,
            noise=noise,
            seed=seed,
            **{k.split("/")[-1]: v for k, v in metrics.items() if "/" in k},
        )
        wrong = label != true
        if wrong.any():
            from sklearn.metrics import roc_auc_score

            result["attention_auc"] = roc_auc_score(wrong, -attention)
            result["context_accuracy_wrong"] = float((attention[wrong] > 0.5).mean())
        write(folder / "result.json", json.dumps(result, indent=1))
    return json.loads((folder / "result.json").read_text())


def attention_to_labels(runner, pipeline):
    """Attention, label and true label of every training image, not augmented."""
    import numpy as np
    import torch

    from semamb_mm.pretrain.inference import embed_dataset, read_attention

    dataset = runner.train_dataloader.dataset
    dataset.pipeline = pipeline
    label = dataset.get_gt_labels()
    attention = read_attention(
        runner.model, embed_dataset(runner.model, dataset), torch.from_numpy(label)
    )
    infos = map(dataset.get_data_info, range(len(dataset)))
    true = np.array([info.get("true_label", info["gt_label"]) for info in infos])
    return attention.numpy(), label, true


def register_library_loss():
    from mmpretrain.registry import MODELS
    from torch import nn

    if "LibraryLoss" in MODELS:
        return

    @MODELS.register_module()
    class LibraryLoss(nn.Module):
        """A loss of pytorch-metric-learning with the miner it is published with."""

        def __init__(self, name):
            from pytorch_metric_learning import losses, miners

            super().__init__()
            if name == "TripletMarginLoss":
                self.miner = miners.TripletMarginMiner(0.2, "semihard")
                self.loss = losses.TripletMarginLoss(margin=0.2)
            else:
                self.miner = miners.MultiSimilarityMiner(epsilon=0.1)
                self.loss = getattr(losses, name)()

        def forward(self, embeddings, labels, context=None):
            return self.loss(embeddings, labels, self.miner(embeddings, labels))


def read_curve(folder):
    """Every validation of a run, from its own log."""
    rows = []
    for path in sorted(folder.glob("*/vis_data/*.json")):
        if path.name != "scalars.json":
            continue
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if "retrieval/Recall@1" in record:
                rows.append({s: record[f"retrieval/{s}"] for s in SCORES})
                rows[-1]["epoch"] = record["step"]
    return rows


def write(path, text):
    temporary = path.with_name(f".unfinished-{path.name}")
    temporary.write_text(text)
    os.replace(temporary, path)


def write_csv(path, rows):
    temporary = path.with_name(f".unfinished-{path.name}")
    fields = list(dict.fromkeys(key for row in rows for key in row))
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def spread(values):
    text = f"{statistics.mean(values):.2f}"
    return f"{text} ± {statistics.stdev(values):.2f}" if len(values) > 1 else text


def scores_of(results, method, noise, score):
    return [
        r[score]
        for r in results
        if (r["method"], r["noise"]) == (method, noise) and score in r
    ]


def make_table(args, results):
    seeds = ", ".join(map(str, args.seeds))
    head = " | ".join(f"{noise:.0%} wrong" for noise in args.noise)
    lines = [f"Seeds {seeds}; mean ± standard deviation over seeds."]
    for score in (*SCORES, "attention_auc"):
        lines += ["", f"| {score} | {head} |", "|---" * (len(args.noise) + 1) + "|"]
        for method in args.methods:
            cells = []
            for noise in args.noise:
                values = scores_of(results, method, noise, score)
                cells.append(spread(values) if values else "")
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(args, results):
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt
    from sklearn.metrics import roc_curve

    out = Path(args.work_dir)
    figure, axes = plt.subplots(figsize=(7, 5))
    for method in args.methods:
        points = [
            (100 * noise, np.mean(values), np.std(values))
            for noise in args.noise
            if (values := scores_of(results, method, noise, "Recall@1"))
        ]
        axes.errorbar(*zip(*points), label=method, marker="o", capsize=3)
    axes.set(xlabel="wrong training labels, %", ylabel="Recall@1, %")
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "recall.png", dpi=120)

    method = "osm_caa" if "osm_caa" in args.methods else args.methods[0]
    figure, axes = plt.subplots(figsize=(5, 5))
    for noise in (n for n in args.noise if n > 0):
        for seed in args.seeds:
            folder = run_folder(args, method, noise, seed)
            if not is_finished(folder):
                continue
            with np.load(folder / "attention.npz") as data:
                wrong = data["label"] != data["true"]
                false, true, _ = roc_curve(wrong, -data["attention"])
            label = f"{noise:.0%} wrong" if seed == args.seeds[0] else None
            color = f"C{args.noise.index(noise)}"
            axes.plot(false, true, label=label, color=color, lw=1)
    axes.set(
        xlabel="right labels taken for wrong",
        ylabel="wrong labels found",
        title=f"lowest attention first, {method}",
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(out / "roc.png", dpi=120)


def main():
    args = parse_args()
    from tqdm import tqdm

    out = Path(args.work_dir)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [
        (args, method, noise, seed)
        for seed in args.seeds
        for noise in args.noise
        for method in args.methods
        if not args.report or is_finished(run_folder(args, method, noise, seed))
    ]
    # A process per run: nothing of MMEngine's global state is carried over.
    pool = ProcessPoolExecutor(
        args.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1
    )
    with pool:
        futures = [pool.submit(run, *task) for task in tasks]
        try:
            for future in tqdm(as_completed(futures), total=len(tasks), unit="run"):
                r = future.result()
                tqdm.write(
                    f"{r['method']}, {r['noise']:.0%} wrong, seed {r['seed']}: "
                    f"Recall@1 {r['Recall@1']:.2f}"
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = [future.result() for future in futures]
    write_csv(out / "results.csv", results)
    curves = [
        dict(method=method, noise=noise, seed=seed, **row)
        for _, method, noise, seed in tasks
        for row in read_curve(run_folder(args, method, noise, seed))
    ]
    write_csv(out / "curves.csv", curves)
    table = make_table(args, results)
    write(out / "table.md", table)
    draw(args, results)
    print(table)


if __name__ == "__main__":
    sys.exit(main())
