from collections import Counter

import pytest
from mmpretrain.registry import DATASETS

from semamb_mm.pretrain import SOPRetrieval
from tests.trees.retrieval import make_sop

from .test_zero_shot_dataset import infos


def test_sop_is_split_by_its_own_lists(tmp_path):
    root = make_sop(tmp_path)
    for split, first in (("train", 1), ("test", 11)):
        dataset = DATASETS.build(dict(type="SOPRetrieval", data_root=root, split=split))
        names = tuple(f"product {number}" for number in range(first, first + 10))
        assert dataset.metainfo["classes"] == names
        assert Counter(dataset.get_gt_labels().tolist()) == dict.fromkeys(range(10), 2)
        assert infos(dataset)[-1]["img_path"].endswith(
            f"toaster_final/1110851228{first + 9:02d}_1.JPG"
        )


def test_val_holds_out_of_every_super_class(tmp_path):
    held = SOPRetrieval(make_sop(tmp_path), split="val")
    # The last of five bicycles and the last of five toasters.
    assert held.metainfo["classes"] == ("product 5", "product 10")


def test_sop_names_what_is_wrong(tmp_path):
    root = make_sop(tmp_path)
    path = tmp_path / "Ebay_train.txt"
    text = path.read_text()
    for old, new, message in (
        ("image_id class_id", "image class", "line 1: expected 'image_id class_id sup"),
        ("2 1 1 ", "2 1 ", "line 3: expected 4 cells .*got '2 1 bicycle_final"),
        ("2 1 1 ", "2 x 1 ", "line 3: class_id is a number, got 'x'"),
        ("2 1 1 ", "2 1 3 ", "line 3: class 1 is of super class 3, and of 1 before"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=f"Ebay_train.txt, {message}"):
            SOPRetrieval(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no file .*Ebay_train.txt"):
        SOPRetrieval(root)


def test_corrected_labels_are_read_as_the_own_ones(tmp_path):
    dataset = SOPRetrieval(make_sop(tmp_path))
    path = tmp_path / "Ebay_train.txt"
    assert dataset.corrected_list({}) == path.read_text()
    bicycle = infos(dataset)[0]["img_path"]
    path.write_text(dataset.corrected_list({bicycle: "product 9"}))
    line = path.read_text().splitlines()[1]
    assert line == "1 9 12 bicycle_final/111085122801_0.JPG"  # a toaster now
    labels = SOPRetrieval(str(tmp_path)).get_gt_labels()
    assert labels[0] == 8 and (labels[1:] == dataset.get_gt_labels()[1:]).all()
