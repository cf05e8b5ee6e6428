"""What the retrieval data sets hold on disk: numbers, files named, files there."""

from __future__ import annotations

from semamb_mm.formats.contents import Contents, files_below

from . import inshop, lpw, market1501
from .cars196 import CARS196Retrieval
from .cub import CUBRetrieval
from .mars import read_queries, read_tracklets
from .omniglot import IMAGE, PARTS, list_part
from .sop import SOPRetrieval
from .zero_shot_dataset import ZeroShotDataset

_ZERO_SHOT = {
    "CUBRetrieval": CUBRetrieval,
    "CARS196Retrieval": CARS196Retrieval,
    "SOPRetrieval": SOPRetrieval,
}


def read_zero_shot(root: str, class_name: str, *folders: str) -> Contents:
    """Return the contents of a data set split by its classes, boxes read as well."""
    dataset_class = _ZERO_SHOT[class_name]
    counts, named = {}, []
    for split in ("train", "test"):
        options = {"crop": True} if issubclass(dataset_class, ZeroShotDataset) else {}
        # The constructor's own reading ends at the first image that is missing.
        dataset = dataset_class(root, split=split, lazy_init=True, **options)
        samples = dataset.load_samples()
        counts[f"{split} classes"] = len({s["gt_label"] for s in samples})
        counts[f"{split} images"] = len(samples)
        named += [sample["img_path"] for sample in samples]
    return Contents(counts, named, files_below(root, *folders))


def read_mars(root: str) -> Contents:
    """Return MARS's contents; junk and distractors are counted, as in the paper."""
    counts, named = {}, []
    for split in ("train", "test"):
        tracklets = read_tracklets(root, split)
        images = [path for tracklet in tracklets for path in tracklet.images]
        counts[f"{split} persons"] = len({t.person for t in tracklets})
        counts[f"{split} tracklets"] = len(tracklets)
        counts[f"{split} images"] = len(images)
        named += images
    counts["queries"] = len(read_queries(root, tracklets))
    return Contents(counts, named, files_below(root, "bbox_train", "bbox_test"))


def read_lpw(root: str) -> Contents:
    """Return LPW's contents: without lists only the numbers show what is missing.

    What is in a folder of another name is surplus, and an empty tracklet's frames are
    missing.
    """
    counts, named = {}, []
    for split in ("train", "test"):
        tracklets, _ = lpw.read_tracklets(root, split)
        images = [path for tracklet in tracklets for path in tracklet.images]
        counts[f"{split} persons"] = len({(t.scene, t.person) for t in tracklets})
        counts[f"{split} tracklets"] = len(tracklets)
        counts[f"{split} images"] = len(images)
        named += images
        named += [
            f"{root}/scen{t.scene}/view{t.view}/{t.person}/*.jpg"
            for t in tracklets
            if not t.images
        ]
    counts["queries"] = sum(t.view == lpw.QUERY_VIEW for t in tracklets)
    return Contents(counts, named, files_below(root, "scen1", "scen2", "scen3"))


def read_omniglot(root: str, version: str) -> Contents:
    """Return the contents of the two parts, folders or archives."""
    counts, named, present = {}, [], []
    for split in ("train", "test"):
        part = PARTS[version, split]
        prefix, names = list_part(root, part)
        drawings = [match for match in map(IMAGE.fullmatch, names) if match]
        characters = {(match[1], match[2]) for match in drawings}
        counts[f"{part} characters"] = len(characters)
        counts[f"{part} images"] = len(drawings)
        named += [prefix + match[0] for match in drawings]
        present += [prefix + name for name in names if not name.endswith("/")]
    return Contents(counts, named, present)


def read_market1501(root: str) -> Contents:
    """Return Market-1501's contents: without lists only the numbers show losses.

    Junk and distractors are counted apart. What is no .jpg file is not looked at.
    """
    train, query, gallery = (
        market1501.list_images(root, role) for role in market1501.FOLDERS
    )
    strangers = (market1501.JUNK, 0)
    counts = {
        "train persons": len({image.person for image in train}),
        "train images": len(train),
        "query persons": len({image.person for image in query}),
        "queries": len(query),
        "gallery persons": len({image.person for image in gallery} - {*strangers}),
        "gallery images": sum(image.person not in strangers for image in gallery),
        "distractors": sum(image.person == 0 for image in gallery),
        "junk images": sum(image.person == market1501.JUNK for image in gallery),
    }
    named = [image.path for image in (*train, *query, *gallery)]
    there = files_below(root, *market1501.FOLDERS.values())
    return Contents(counts, named, [path for path in there if path.endswith(".jpg")])


def read_inshop(root: str) -> Contents:
    """Return In-Shop's contents."""
    rows = inshop.read_partition(root)
    items = {
        part: {
            item for _, item, status in rows if (status == "train") == (part == "train")
        }
        for part in ("train", "test")
    }
    counts = {f"{part} items": len(names) for part, names in items.items()}
    for status in inshop.STATUSES:
        counts[f"{status} images"] = sum(row[2] == status for row in rows)
    named = [path for path, _, _ in rows]
    return Contents(counts, named, files_below(root, "Img/img", "img"))
