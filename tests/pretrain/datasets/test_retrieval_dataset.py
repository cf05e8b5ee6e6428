"""What all retrieval data sets share: the classes held out of training."""

from pathlib import Path

import pytest

from semamb_mm.pretrain import LPW, MARS, CARS196Retrieval, CUBRetrieval, Market1501
from semamb_mm.pretrain.datasets.retrieval_dataset import last_groups
from tests.trees.retrieval import (
    make_cars,
    make_cub,
    make_lpw,
    make_market1501,
    make_mars,
)


def names_and_classes(dataset):
    """Image to its class's name."""
    classes = dataset.metainfo["classes"]
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {info["img_path"]: classes[info["gt_label"]] for info in infos}


def test_val_and_train_only_are_the_training_classes(tmp_path):
    root = make_cub(tmp_path, classes=20)
    train, left, held, test = (
        CUBRetrieval(root, split=split)
        for split in ("train", "train_only", "val", "test")
    )
    assert names_and_classes(train) == {
        **names_and_classes(left),
        **names_and_classes(held),
    }
    assert held.metainfo["classes"] == train.metainfo["classes"][-2:]
    assert not set(held.metainfo["classes"]) & set(test.metainfo["classes"])
    assert sorted(set(left.get_gt_labels())) == list(range(8))
    assert sorted(set(held.get_gt_labels())) == [0, 1]
    assert held.test_mode and not left.test_mode
    half = CUBRetrieval(root, split="val", val_share=0.5)
    assert len(half.metainfo["classes"]) == 5
    with pytest.raises(ValueError, match="val_share lies in .0, 1., not 0"):
        CUBRetrieval(root, split="val", val_share=0)


@pytest.mark.parametrize(
    "build, make",
    [
        (CARS196Retrieval, make_cars),
        (Market1501, make_market1501),
        (MARS, make_mars),
        (LPW, make_lpw),
    ],
)
def test_corrections_change_the_classes_of_their_images_alone(
    build, make, tmp_path, monkeypatch
):
    """Also where labels are Matlab files, folders or file names."""
    root = Path(make(tmp_path / "data"))
    before = names_and_classes(build(str(root)))
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    image = min(before)
    other = max(name for name in before.values() if name != before[image])
    path = tmp_path / "corrected.csv"
    path.write_text(build(str(root)).corrected_list({image: other}))
    corrected = build(str(root), corrections=str(path))
    assert names_and_classes(corrected) == {**before, image: other}
    # However the root is spelled.
    monkeypatch.chdir(tmp_path)
    for spelled in ("data", "./data", "data/", f"{root}/"):
        data_root = f"{spelled.rstrip('/')}/{root.relative_to(tmp_path / 'data')}"
        data_root = data_root if spelled[0] != "/" else spelled
        again = build(data_root, corrections=str(path))
        assert list(again.get_gt_labels()) == list(corrected.get_gt_labels())
    assert files == {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    fields = [
        {k: v for k, v in info.items() if k not in ("gt_label", "sample_idx")}
        for data in (build(str(root)), corrected)
        for info in map(data.get_data_info, range(len(data)))
    ]
    assert fields[: len(before)] == fields[len(before) :]


@pytest.mark.parametrize(
    "text, message",
    [
        ("image,class\nimages/none.jpg,001.a\n", "line 2: image 'images/none.jpg'"),
        ("image,class\n{image},no bird\n", "line 2: class 'no bird' is not in train"),
        ("image,label\n", "line 1: expected 'image,class'"),
        ("image,class\n{image}\n", "line 2: expected 2 cells"),
        ("", "line 1: expected 'image,class'"),
    ],
)
def test_corrections_that_do_not_fit_are_told(text, message, tmp_path):
    root = make_cub(tmp_path, classes=4)
    image = min(names_and_classes(CUBRetrieval(root))).removeprefix(f"{root}/")
    path = tmp_path / "corrected.csv"
    path.write_text(text.format(image=image))
    with pytest.raises(ValueError, match=message):
        CUBRetrieval(root, corrections=str(path))
    with pytest.raises(ValueError, match="split is 'test'"):
        CUBRetrieval(root, split="test", corrections=str(path))
    with pytest.raises(FileNotFoundError, match="corrections: no file"):
        CUBRetrieval(root, corrections=str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    "groups, share, expected",
    [
        (range(10), 0.2, {8, 9}),
        (range(10), 0.001, {9}),
        (range(3), 0.999, {1, 2}),
        ("aaabbbbbbc", 0.2, {"c"}),
        ("aaabbbbccc", 0.6, {"b", "c"}),
    ],
)
def test_the_last_groups_nearest_to_the_share(groups, share, expected):
    assert last_groups(list(groups), share) == expected


def test_one_group_cannot_be_divided():
    with pytest.raises(ValueError, match="two groups of training classes .* has 1"):
        last_groups([3, 3, 3], 0.5)
