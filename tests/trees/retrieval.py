"""Tiny generated trees of the data sets' official layouts."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

SIZE = (40, 30)  # width, height


def save_image(path, seed):
    """Noise; the same seed gives the same image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def make_cub(root, classes=5, per_class=3):
    """CUB_200_2011; image ids count in the order of classes."""
    root = Path(root)
    lines = dict(images=[], image_class_labels=[], bounding_boxes=[], classes=[])
    lines["train_test_split"] = []  # by images; the retrieval data set ignores it
    number = 0
    for c in range(1, classes + 1):
        name = f"{c:03d}.Bird_{c}"
        lines["classes"].append(f"{c} {name}")
        for i in range(per_class):
            number += 1
            save_image(root / "images" / name / f"Bird_{c}_{i}.jpg", number)
            lines["images"].append(f"{number} {name}/Bird_{c}_{i}.jpg")
            lines["image_class_labels"].append(f"{number} {c}")
            lines["train_test_split"].append(f"{number} {i % 2}")
            lines["bounding_boxes"].append(f"{number} 4.0 2.0 20.0 10.0")
    for name, content in lines.items():
        (root / f"{name}.txt").write_text("\n".join(content) + "\n")
    return str(root)


def _save_annotations(path, names, key, classes, **more):
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", key, *more]
    table = np.zeros((1, len(names)), dtype=[(field, object) for field in fields])
    for i, (name, label) in enumerate(zip(names, classes)):
        values = (5, 3, 24, 12, label, name, *(values[i] for values in more.values()))
        table[0, i] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(annotations=table)
    if key == "relative_im_path":
        content["class_names"] = _class_names(max(classes))
    savemat(path, content)


def _class_names(count):
    return np.array([[f"Car {i}" for i in range(1, count + 1)]], dtype=object)


def make_cars(root, layout="whole", classes=4, per_class=4):
    """Cars in a layout that is published; every other image is a test image."""
    root = Path(root)
    labels = np.repeat(np.arange(1, classes + 1), per_class)
    test = np.arange(len(labels)) % 2
    if layout == "whole":
        names = [f"car_ims/{i:06d}.jpg" for i in range(1, len(labels) + 1)]
        for i, name in enumerate(names):
            save_image(root / name, i)
        _save_annotations(
            root / "cars_annos.mat", names, "relative_im_path", labels, test=test
        )
        return str(root)
    devkit = root / ("car_devkit/devkit" if layout == "kaggle" else "devkit")
    for part, file in ((0, "cars_train_annos"), (1, "cars_test_annos_withlabels")):
        members = np.flatnonzero(test == part)
        names = [f"{i:05d}.jpg" for i in range(1, len(members) + 1)]
        images = Path("cars_test" if part else "cars_train")
        images = root / images / (images if layout == "kaggle" else "")
        for i, name in zip(members, names):
            save_image(images / name, int(i))
        folder = root if part and layout == "test labels apart" else devkit
        _save_annotations(folder / f"{file}.mat", names, "fname", labels[members])
    savemat(devkit / "cars_meta.mat", dict(class_names=_class_names(classes)))
    if layout == "kaggle":  # about car_ims, which that copy lacks
        (root / "cars_annos.mat").write_bytes(b"")
    return str(root)


def make_mars(root, frames=2):
    """MARS: persons 1, 3, 5 to train; junk, a distractor, 2 and 4 to test."""
    root = Path(root)
    tracks = dict(
        train=[(1, 1), (1, 1), (1, 2), (3, 1), (3, 6), (5, 2)],
        test=[(-1, 1), (0, 1), (2, 1), (2, 3), (2, 3), (4, 2), (4, 5)],
    )
    (root / "info").mkdir(parents=True, exist_ok=True)
    for split, persons in tracks.items():
        names, table = [], []
        for t, (person, camera) in enumerate(persons, start=1):
            folder = "00-1" if person == -1 else f"{person:04d}"
            first = len(names) + 1
            for f in range(1, frames + 1):
                name = f"{folder}C{camera}T{t:04d}F{f:03d}.jpg"
                save_image(root / f"bbox_{split}" / folder / name, len(names))
                names.append(name)
            table.append([first, len(names), person, camera])
        (root / "info" / f"{split}_name.txt").write_text("\n".join(names) + "\n")
        savemat(
            root / f"info/tracks_{split}_info.mat",
            {f"track_{split}_info": np.array(table, np.int32)},
        )
    queries = np.array([[3, 4, 6]], np.uint16)
    savemat(root / "info/query_IDX.mat", dict(query_IDX=queries))
    return str(root)


def make_lpw(root, frames=(2, 9, 10)):
    """LPW; person 7 of scene 2 is not person 7 of scene 3."""
    root = Path(root)
    persons = {
        "scen1/view1": (2, 30),
        "scen1/view2": (2, 30, 31),
        "scen1/view3": (31,),
        "scen2/view1": (7, 8),
        "scen2/view4": (7,),
        "scen3/view3": (7, 9),
    }
    for folder, numbers in persons.items():
        for number in numbers:
            for frame in frames:
                save_image(root / folder / str(number) / f"{frame}.jpg", frame)
    return str(root)


def make_sop(root, products=10, images=2):
    """Stanford Online Products: bicycles and toasters, half of them to test."""
    root = Path(root)
    number = 0
    for split, first in (("train", 1), ("test", 1 + products)):
        lines = ["image_id class_id super_class_id path"]
        for i in range(products):
            group, folder = divmod(2 * i, products)[0] + 1, "bicycle_final"
            if group == 2:
                group, folder = 12, "toaster_final"
            for image in range(images):
                number += 1
                name = f"{folder}/1110851228{first + i:02d}_{image}.JPG"
                save_image(root / name, number)
                lines.append(f"{number} {first + i} {group} {name}")
        (root / f"Ebay_{split}.txt").write_text("\n".join(lines) + "\n")
    return str(root)


def make_market1501(root):
    """Market-1501: persons 2, 7, 11 to train; 1, 4, a distractor and junk to test."""
    root = Path(root)
    names = {
        "bounding_box_train": [
            f"{person:04d}_c{camera}s1_{frame:06d}_01.jpg"
            for person in (2, 7, 11)
            for camera, frame in ((1, 451), (1, 476), (5, 801))
        ],
        "query": [
            "0001_c1s1_001051_00.jpg",
            "0001_c2s1_000301_00.jpg",
            "0004_c6s3_003001_00.jpg",
        ],
        "bounding_box_test": [
            "-1_c1s1_000401_03.jpg",
            "0000_c1s1_000151_01.jpg",
            "0001_c1s1_001076_02.jpg",
            "0001_c2s1_000326_01.jpg",
            "0004_c1s6_016996_03.jpg",
        ],
    }
    for folder, files in names.items():
        for number, name in enumerate(files):
            save_image(root / folder / name, number)
        (root / folder / "Thumbs.db").write_bytes(b"")
    return str(root)


def make_inshop(root, items=4):
    """In-Shop: as many items to train as to test, of which each has two queries."""
    root = Path(root)
    lines = []
    for item in range(1, 2 * items + 1):
        statuses = ("train",) * 4
        if item > items:
            statuses = ("query", "gallery", "query", "gallery")
        for number, status in enumerate(statuses):
            kind = ("WOMEN/Dresses", "MEN/Denim")[item % 2]
            name = f"img/{kind}/id_{item:08d}/{number + 1:02d}_1_front.jpg"
            save_image(root / "Img" / name, 10 * item + number)
            lines.append(f"{name:<60} id_{item:08d} {status}")
    header = [str(len(lines)), "image_name item_id evaluation_status"]
    (root / "Eval").mkdir(parents=True, exist_ok=True)
    path = root / "Eval/list_eval_partition.txt"
    path.write_text("\n".join(header + lines) + "\n")
    return str(root)
