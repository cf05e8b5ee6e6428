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

try:
    import semamb_mm.pretrain  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

from pathlib import Path

import mmcv
import numpy as np
import torch
from mmengine.registry import DATASETS
from sklearn.metrics import roc_auc_score

from semamb_mm import cli
from semamb_mm.formats.tables import write_csv
from semamb_mm.metric_learning import rankings, retrieval_scores
from semamb_mm.pictures.image_grid import Framed, draw_image_grid
from semamb_mm.pretrain.inference import classify_dataset, embed_dataset

RIGHT, WRONG, PLAIN = "#2ca02c", "#d62728", "#888888"


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/retrieval_gallery")
    parser.add_argument("--num-queries", type=int, default=10, help="rows of a picture")
    parser.add_argument("--neighbours", type=int, default=8, help="of each query")
    return parser.parse_args(argv)


def main(argv=None):
    """Embed both data sets, and write pictures and attention."""
    args = parse_args(argv)
    config = cli.open_config(args, scope="mmpretrain")
    model = cli.open_retrieval_model(config, args.checkpoint, args.device)
    cli.check_data(config, "train", "test")
    test = DATASETS.build(config.test_dataloader.dataset)
    train = cli.training_set(config, config.test_dataloader.dataset.pipeline)
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)

    embeddings = embed_dataset(model, test)
    labels = torch.from_numpy(test.get_gt_labels())
    rows = gallery_rows(embeddings, labels, args.num_queries, args.neighbours)
    title = gallery_title(len(rows))
    headings = ["query", *(f"nearest {n}" for n in range(1, args.neighbours + 1))]
    draw_image_grid(out_dir / "retrieval.png", framed(test, rows), title, headings)
    recall = retrieval_scores(embeddings, labels, (1,))["Recall@1"]
    print(f"Recall@1 {recall:.2f} % of {len(labels)} test images")

    labels = torch.from_numpy(train.get_gt_labels())
    scores = torch.from_numpy(classify_dataset(model, train)[1])
    attention = scores.softmax(dim=1)[torch.arange(len(labels)), labels]
    infos = [train.get_data_info(i) for i in range(len(train))]
    header = ["attention", "image", "label"]
    header += ["true_label"] * ("true_label" in infos[0])
    cells = attention_rows(train.metainfo["classes"], infos, attention)
    write_csv(out_dir / "attention.csv", header, cells)
    rows = outlier_rows(attention, train.metainfo["classes"], infos, args.num_queries)
    title = "Training images of lowest attention, beside those of highest attention "
    title += "of the class that they are labelled as"
    if "true_label" in infos[0]:
        title += ".\nFrames: red, the label is wrong; green, it is right"
    headings = ["lowest attention", "of that class"]
    draw_image_grid(out_dir / "outliers.png", framed(train, rows), title, headings)
    print_auc(infos, attention)
    for name in ("retrieval.png", "outliers.png", "attention.csv"):
        print(f"wrote {out_dir / name}")


def gallery_rows(embeddings, labels, count, neighbours):
    """Return rows of ``(index, frame colour, caption)``, the query first."""
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
        rank = own_rank[query] + 1
        row = [(query, PLAIN, f"own class: {rank}." if rank else "alone of its class")]
        for index in nearest[query].tolist():
            right = labels[index] == labels[query]
            row.append((index, RIGHT if right else WRONG, ""))
        rows.append(row)
    return rows


def gallery_title(count):
    """Return what so many rows of :func:`gallery_rows` show."""
    random = count - count // 2
    title = "Test images and their nearest neighbours. Frames: green, of the query's "
    title += f"class; red, of another.\nUpper {random}: queries chosen at random. "
    title += f"Lower {count - random}: those whose own class comes last."
    return title + "\nBelow a query: the place of the first neighbour of its class."


def outlier_rows(attention, names, infos, count):
    """Return rows: an image of low attention, then its class's most attended."""
    labels = torch.tensor([info["gt_label"] for info in infos])
    rows = []
    for index in attention.argsort()[:count].tolist():
        info = infos[index]
        known = "true_label" in info
        wrong = known and info["true_label"] != info["gt_label"]
        color = WRONG if wrong else RIGHT if known else PLAIN
        caption = f"attention {attention[index]:.3f}"
        caption += f"\nlabelled {names[info['gt_label']]}"
        caption += f"\nis {names[info['true_label']]}" if wrong else ""
        of_class = torch.where(labels == labels[index])[0]
        best = of_class[attention[of_class].argsort(descending=True)][:3]
        rows.append([(index, color, caption)])
        rows[-1] += [(i, PLAIN, f"attention {attention[i]:.3f}") for i in best.tolist()]
    return rows


def framed(dataset, rows):
    """Return rows of images for rows of ``(index, frame colour, caption)``."""

    def read(index):
        path = dataset.get_data_info(index)["img_path"]
        return mmcv.imread(path, channel_order="rgb")

    return [
        [Framed(read(index), colour, caption) for index, colour, caption in row]
        for row in rows
    ]


def attention_rows(names, infos, attention):
    """Yield the cells of attention.csv, lowest attention first."""
    for index in attention.argsort().tolist():
        info = infos[index]
        row = [f"{attention[index]:.6f}", info["img_path"], names[info["gt_label"]]]
        yield row + [names[info["true_label"]]] * ("true_label" in info)


def print_auc(infos, attention):
    """Print how well low attention tells wrong labels, where those are known."""
    if "true_label" not in infos[0]:
        return
    wrong = torch.tensor([info["true_label"] != info["gt_label"] for info in infos])
    auc = roc_auc_score(wrong, -attention)
    print(f"{int(wrong.sum())} of {len(infos)} labels are wrong; ROC AUC {auc:.3f}")


if __name__ == "__main__":
    main()
