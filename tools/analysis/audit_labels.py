"""Find the class labels of a training set that are probably wrong.

Ranks the training images by how badly their label fits them in a classifier's eyes
(see semamb_mm/audit/labels.py), states how many of the suspects are expected to be
wrong, and writes into --out-dir:

- ``labels.csv``: every training image, the most surprising label first;
- ``audit.html``: one page, no other files needed: each suspect beside the nearest
  images of the class that is claimed and of the class that is likely.

With --folds N each image is judged by a model that was not trained on it: N models are
trained, each on all folds but one, in --out-dir/folds. Start the command again to go on
after an interruption. Without it the checkpoint judges the images that it was trained
on, and a wrong label that it has learnt by heart is not found.

With --corrected PATH the labels are written with the likely class in place of each
suspect's: in the data set's own format where that is a list (CUB, Stanford Online
Products, In-Shop), for our other data sets as their option corrections=PATH reads it,
and otherwise for MMPretrain's CustomDataset. Look at the page first. The data set
itself is never touched. The images of a tracklet are corrected together, or not.

Works with EmbeddingRetriever and ImageClassifier, and a head that classifies.
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
from mmengine import fileio

from semamb_mm import cli
from semamb_mm.audit.label_report import Images, write_label_page, write_labels
from semamb_mm.audit.labels import PRECISION, audit_labels
from semamb_mm.formats.files import atomic_write
from semamb_mm.pretrain.cross_validation import out_of_fold_scores
from semamb_mm.pretrain.datasets.retrieval_dataset import custom_list
from semamb_mm.pretrain.inference import classify_dataset


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("--out-dir", default="work_dirs/label_audit")
    parser.add_argument(
        "--folds", type=int, help="train so many models, and judge out of fold"
    )
    parser.add_argument(
        "--precision",
        type=float,
        default=PRECISION,
        help="share of wrong labels that the suspects must be expected to have "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--corrected", help="file for the labels with suspects replaced"
    )
    parser.add_argument("--num-images", type=int, default=40, help="of the page")
    cli.add_batch_size(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Judge, and write table, page and, if asked for, corrected labels."""
    args = parse_args(argv)
    config = cli.open_config(args, scope="mmpretrain")
    pipeline = config.val_dataloader.dataset.get("pipeline")
    if pipeline is None or "pipeline" not in config.train_dataloader.dataset:
        raise SystemExit(
            f"{args.config}: its data set is wrapped; the audit needs one whose items "
            "are images, with a pipeline of its own"
        )
    dataset = cli.training_set(config, pipeline)
    refuse_to_overwrite(args, dataset)
    model = cli.open_retrieval_model(config, args.checkpoint, args.device)
    embeddings, scores = classify_dataset(model, dataset, args.batch_size)
    out_dir = Path(args.out_dir)
    how = f"Judged by {args.checkpoint}, which was trained on these labels."
    if args.folds:
        scores = out_of_fold_scores(
            config, dataset, out_dir / "folds", args.folds, args.device, args.batch_size
        )
        how = f"Each is judged by one of {args.folds} models, not trained on it."

    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.array([int(info["gt_label"]) for info in infos])
    audit = audit_labels(scores, labels, args.precision)
    images = Images(
        [info["img_path"] for info in infos],
        dataset.metainfo["classes"],
        embeddings,
        lambda i: mmcv.imfrombytes(fileio.get(infos[i]["img_path"])),
    )
    true = None
    if "true_label" in infos[0]:
        true = np.array([info["true_label"] for info in infos])
    write_labels(out_dir / "labels.csv", audit, images, true)
    name = Path(args.config).stem
    write_label_page(out_dir / "audit.html", audit, images, name, how, args.num_images)
    report(audit, true)
    print(f"wrote labels.csv and audit.html into {out_dir}")
    if args.corrected:
        write_corrected(args.corrected, dataset, infos, audit)


def refuse_to_overwrite(args, dataset):
    """Stop before anything is done if the corrected labels would replace a file."""
    if args.corrected is None:
        return
    path, root = Path(args.corrected), getattr(dataset, "data_root", None)
    if path.exists():
        raise SystemExit(f"--corrected {path} exists already; name a new file")
    if root and path.resolve().is_relative_to(Path(root).resolve()):
        raise SystemExit(
            f"--corrected {path} lies inside the data root {root}: name a file "
            "elsewhere, the data is never touched"
        )


def report(audit, true):
    """Print what is expected, and what is so where the truth is known."""
    suspects = audit.suspects
    said = f"{suspects.sum()} of {len(suspects)} labels are suspects"
    if suspects.any():
        low, high = audit.suspects_range
        said += f"; {audit.suspects_precision:.0%} ({low:.0%} to {high:.0%}) of them "
        said += "are expected to be wrong"
    print(f"{said}. Wrong labels in all: about {audit.share:.1%}")
    if true is not None and suspects.any():
        wrong = true != audit.labels
        print(
            f"known: {wrong[suspects].mean():.0%} of the suspects are wrong, "
            f"{wrong[suspects].sum()} of {wrong.sum()} wrong labels are found"
        )


def write_corrected(path, dataset, infos, audit):
    """Write the labels with the likely class in place of each suspect's.

    Labels that the data set's own corrections changed stay changed.
    """
    classes = dataset.metainfo["classes"]
    suspects, likely = audit.suspects, audit.likely
    if "tracklet_id" in infos[0]:
        tracklets = np.array([info["tracklet_id"] for info in infos])
        suspects, likely = by_tracklet(tracklets, suspects, likely)
    changed = {
        infos[i]["img_path"]: classes[likely[i]] for i in np.flatnonzero(suspects)
    }
    count = len(changed)
    changed = {**getattr(dataset, "corrected", {}), **changed}
    own = getattr(dataset, "corrected_list", None)
    text = own(changed) if own else custom_list(dataset, changed)
    with atomic_write(path) as file:
        file.write(text)
    print(f"wrote {path}: {count} labels replaced")


def by_tracklet(tracklets, suspects, likely):
    """Let a tracklet's images decide together, as they show one person.

    Args:
        tracklets: ``(n,)`` tracklet of each image.
        suspects: ``(n,)`` bool.
        likely: ``(n,)`` likely class of each image.

    Returns:
        Suspects and likely classes: all images of a tracklet and their most frequent
        one where most are suspects with it, otherwise none of them.
    """
    suspects, likely = suspects.copy(), likely.copy()
    for tracklet in np.unique(tracklets[suspects]):
        mine = tracklets == tracklet
        classes, counts = np.unique(likely[mine & suspects], return_counts=True)
        suspects[mine] = 2 * counts.max() > mine.sum()
        likely[mine] = classes[counts.argmax()]
    return suspects, likely


if __name__ == "__main__":
    main()
