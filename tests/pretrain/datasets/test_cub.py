from pathlib import Path

import pytest
from mmpretrain.registry import DATASETS

from semamb_mm.pretrain import CUBRetrieval
from tests.trees.retrieval import SIZE, make_cub

from .test_zero_shot_dataset import PIPELINE, infos


def test_cub_halves_its_classes(tmp_path):
    root = make_cub(tmp_path, classes=5, per_class=3)
    train = CUBRetrieval(root)
    test = DATASETS.build(dict(type="CUBRetrieval", data_root=root, split="test"))
    assert train.metainfo["classes"] == ("001.Bird_1", "002.Bird_2")
    assert test.metainfo["classes"] == ("003.Bird_3", "004.Bird_4", "005.Bird_5")
    assert train.get_gt_labels().tolist() == [0] * 3 + [1] * 3
    assert test.get_gt_labels().tolist() == [0] * 3 + [1] * 3 + [2] * 3
    for dataset in (train, test):
        for info in infos(dataset):
            folder = Path(info["img_path"]).parent.name
            assert dataset.metainfo["classes"][info["gt_label"]] == folder
            assert Path(info["img_path"]).is_file()
            assert "bbox" not in info


def test_cub_crops(tmp_path):
    root = make_cub(tmp_path)
    cropped = CUBRetrieval(root, crop=True, pipeline=PIPELINE)
    raw = CUBRetrieval(root, pipeline=PIPELINE)
    assert cropped.get_data_info(0)["bbox"] == [4, 2, 24, 12]
    whole = raw[0]["img"]
    assert whole.shape == (SIZE[1], SIZE[0], 3)
    assert (cropped[0]["img"] == whole[2:12, 4:24]).all()
    assert cropped[0]["img_shape"] == (10, 20)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("images.txt", "16", r"images.txt, line 16: expected a number"),
        ("images.txt", "1 a/b.jpg", r"images.txt, line 16"),
        ("images.txt", "16 a/b.jpg", r"image_class_labels.txt: has 15 images.* 16 is"),
        ("image_class_labels.txt", "16 1", r"image_class_labels.txt: has 16 images"),
        ("image_class_labels.txt", "16 Wren", r"line 16: .* 1 int, got '16 Wren'"),
        ("bounding_boxes.txt", "16 1 2 3", r"bounding_boxes.txt, line 16.* 4 float"),
        ("classes.txt", "6 006.Wren", r"no image of 1 of 6 classes, .*'006.Wren'"),
        ("classes.txt", "8 008.Wren", r"classes.txt: expected the class ids 1 to 6"),
    ],
)
def test_cub_names_the_bad_line(tmp_path, name, line, message):
    root = make_cub(tmp_path)
    with open(tmp_path / name, "a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=message):
        CUBRetrieval(root, crop=True)


def test_cub_cut_short_or_mislabelled_is_refused(tmp_path):
    root = make_cub(tmp_path)
    path = tmp_path / "classes.txt"
    whole = path.read_text()
    path.write_text("\n".join(whole.splitlines()[:4]) + "\n")
    with pytest.raises(ValueError, match="classes 1 to 4 expected, found 5"):
        CUBRetrieval(root)
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="classes.txt, line 1: expected a number"):
        CUBRetrieval(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="classes.txt"):
        CUBRetrieval(root)


def test_corrected_labels_are_read_as_the_own_ones(tmp_path):
    root = make_cub(tmp_path / "birds", classes=6)
    for split in ("train", "val"):
        dataset = CUBRetrieval(root, split=split, val_share=0.7)
        info = dataset.get_data_info(0)
        other = dataset.metainfo["classes"][-1]
        text = dataset.corrected_list({info["img_path"]: other})
        file = tmp_path / "birds/image_class_labels.txt"
        own = file.read_text()
        file.write_text(text)
        changed = CUBRetrieval(root, split=split, val_share=0.7)
        assert changed.metainfo == dataset.metainfo
        differ = changed.get_gt_labels() != dataset.get_gt_labels()
        assert differ.nonzero()[0].tolist() == [0]
        assert changed.get_gt_labels()[0] == len(dataset.metainfo["classes"]) - 1
        file.write_text(own)
        assert dataset.corrected_list({}) == own
