"""Show what a trained retriever finds, and which training labels it does not believe.

Writes into --out-dir:

- ``retrieval.png``: test images with their nearest neighbours, of the right class
  (green) and of others (red); a random half of the rows, and the queries whose own
  class comes last;
- ``outliers.png``: the training images of lowest class-aware attention, each beside
  three images that are closest to its class;
- ``attention.csv``: every training image, lowest attention first.

Where the data set knows which labels are wrong (``label_noise``), those are marked,
and the ROC AUC of low attention as a sign of a wrong label is printed.
"""

import csv
import os
from pathlib import Path

import matplotlib
import mmcv
import numpy as np
import torch
from mmengine.registry import DATASETS
from sklearn.metrics import roc_auc_score

from semamb_mm.cli import (
    model_parser,
    open_config,
    open_retrieval_model,
    training_set,
)
from semamb_mm.metric_learning import rankings, retrieval_scores
from semamb_mm.pretrain.inference import embed_dataset, read_attention

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

RIGHT, WRONG, PLAIN = "#2ca02c", "#d62728", "#888888"


def parse_args(argv=None):
    parser = model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/retrieval_gallery")
    parser.add_argument("--num-queries", type=int, default=10, help="rows of a picture")
    parser.add_argument("--neighbours", type=int, default=8, help="of each query")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    config = open_config(args, scope="mmpretrain")
    model = open_retrieval_model(config, args.checkpoint, args.device)
    test = DATASETS.build(config.test_dataloader.dataset)
    train = training_set(config, config.test_dataloader.dataset.pipeline)
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)

    embeddings = embed_dataset(model, test)
    labels = torch.from_numpy(test.get_gt_labels())
    rows = gallery_rows(embeddings, labels, args.num_queries, args.neighbours)
    draw_grid(out_dir / "retrieval.png", test, rows, "query")
    recall = retrieval_scores(embeddings, labels, (1,))["Recall@1"]
    print(f"Recall@1 {recall:.2f} % of {len(labels)} test images")

    embeddings = embed_dataset(model, train)
    labels = torch.from_numpy(train.get_gt_labels())
    attention = read_attention(model, embeddings, labels)
    infos = [train.get_data_info(i) for i in range(len(train))]
    write_attention(out_dir / "attention.csv", train, infos, attention)
    rows = outlier_rows(attention, labels, infos, args.num_queries)
    draw_grid(out_dir / "outliers.png", train, rows, "lowest attention")
    print_auc(infos, attention)
    for name in ("retrieval.png", "outliers.png", "attention.csv"):
        print(f"wrote {out_dir / name}")


def gallery_rows(embeddings, labels, count, neighbours):
    """Rows of ``(index, frame colour, caption)``, the query first."""
    nearest, own_rank = [], []
    for queries, order in rankings(embeddings):
        relevant = labels[order] == labels[queries, None]
        rank = relevant.float().argmax(dim=1)
        own_rank.append(torch.where(relevant.any(dim=1), rank, -1))
        nearest.append(order[:, :neighbours])
    nearest, own_rank = torch.cat(nearest), torch.cat(own_rank)
    chosen = np.random.default_rng(0).permutation(len(labels))[: count - count // 2]
    worst = own_rank.argsort(descending=True)[: count // 2]
    rows = []
    for query in [*chosen.tolist(), *worst.tolist()]:
        row = [(query, PLAIN, f"own class at {own_rank[query] + 1}")]
        for index in nearest[query].tolist():
            right = labels[index] == labels[query]
            row.append((index, RIGHT if right else WRONG, ""))
        rows.append(row)
    return rows


def outlier_rows(attention, labels, infos, count):
    """Rows: an image of low attention, then its class's most attended."""
    rows = []
    for index in attention.argsort()[:count].tolist():
        info = infos[index]
        known = "true_label" in info
        wrong = known and info["true_label"] != info["gt_label"]
        color = WRONG if wrong else RIGHT if known else PLAIN
        caption = f"{attention[index]:.3f}"
        caption += (" wrong label" if wrong else " right label") if known else ""
        of_class = torch.where(labels == labels[index])[0]
        best = of_class[attention[of_class].argsort(descending=True)][:3]
        rows.append([(index, color, caption)])
        rows[-1] += [(i, PLAIN, f"{attention[i]:.3f}") for i in best.tolist()]
    return rows


def draw_grid(path, dataset, rows, title):
    columns = max(map(len, rows))
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(1.4 * columns, 1.55 * len(rows)), squeeze=False
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.axis("off")
    for line, row in zip(axes, rows, strict=True):
        for axis, (index, color, caption) in zip(line, row):
            axis.axis("on")
            axis.imshow(mmcv.imread(load_path(dataset, index), channel_order="rgb"))
            axis.set_title(caption, fontsize=7, pad=2)
            for spine in axis.spines.values():
                spine.set(color=color, linewidth=3)
    axes[0, 0].set_title(f"{title}\n{axes[0, 0].get_title()}", fontsize=7, pad=2)
    figure.tight_layout(pad=0.4)
    temporary = path.with_name(f".unfinished-{path.name}")
    figure.savefig(temporary, dpi=100)
    plt.close(figure)
    os.replace(temporary, path)


def load_path(dataset, index):
    return dataset.get_data_info(index)["img_path"]


def write_attention(path, dataset, infos, attention):
    names = dataset.metainfo["classes"]
    temporary = path.with_name(f".unfinished-{path.name}")
    with open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        known = "true_label" in infos[0]
        writer.writerow(["attention", "image", "label"] + ["true_label"] * known)
        for index in attention.argsort().tolist():
            info = infos[index]
            row = [f"{attention[index]:.6f}", info["img_path"], names[info["gt_label"]]]
            writer.writerow(row + ([names[info["true_label"]]] if known else []))
    os.replace(temporary, path)


def print_auc(infos, attention):
    if "true_label" not in infos[0]:
        return
    wrong = torch.tensor([info["true_label"] != info["gt_label"] for info in infos])
    auc = roc_auc_score(wrong, -attention)
    print(f"{int(wrong.sum())} of {len(infos)} labels are wrong; ROC AUC {auc:.3f}")


if __name__ == "__main__":
    main()
