"""CUBRetrieval, CARS196Retrieval and CropToBox."""

from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from numpy.lib.recfunctions import repack_fields
from PIL import Image
from scipy.io import loadmat, savemat

from semamb_mm.pretrain import CARS196Retrieval, CropToBox, CUBRetrieval
from tests.trees.retrieval import SIZE, make_cars, make_cub

PIPELINE = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.CropToBox"),
]


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


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


@pytest.mark.parametrize("layout", ["whole", "devkit", "test labels apart"])
def test_cars_split_by_classes_whatever_the_layout(tmp_path, layout):
    root = make_cars(tmp_path, layout)
    for split, names in (("train", ("Car 1", "Car 2")), ("test", ("Car 3", "Car 4"))):
        dataset = CARS196Retrieval(root, split=split, crop=True, pipeline=PIPELINE)
        assert dataset.metainfo["classes"] == names
        assert np.bincount(dataset.get_gt_labels()).tolist() == [4, 4]
        # The images are told apart by their content.
        first = 0 if split == "train" else 8
        expected = [
            np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3))
            for seed in range(first, first + 8)
        ]
        for info in infos(dataset):
            image = np.asarray(Image.open(info["img_path"])).astype(int)
            errors = [abs(image - other).mean() for other in expected]
            assert int(np.argmin(errors)) // 4 == info["gt_label"]
        # Box 5..24 x 3..12, counted from 1, the last pixel included.
        assert dataset[0]["img"].shape == (10, 20, 3)


def test_crop_without_the_transform_is_refused(tmp_path):
    root = make_cub(tmp_path)
    with pytest.raises(ValueError, match="crop=True needs dict.type='CropToBox'"):
        CUBRetrieval(root, crop=True, pipeline=PIPELINE[:1])


def test_crop_keeps_to_the_image():
    image = np.arange(12).reshape(3, 4)
    crop = CropToBox()
    result = crop(dict(img=image, bbox=[-5, 1, 2.4, 99]))
    assert (result["img"] == image[1:, :2]).all()
    assert "bbox" not in result
    assert crop(dict(img=image))["img"] is image
    for box in ([4, 0, 9, 3], [2, 2, 2, 3], [float("nan"), 0, 2, 2]):
        with pytest.raises(ValueError, match="a.jpg: the box .* 4 x 3 px"):
            crop(dict(img=image, img_path="a.jpg", bbox=box))


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


def test_cars_names_the_bad_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither cars_annos.mat nor devkit"):
        CARS196Retrieval(str(tmp_path))
    root = make_cars(tmp_path, "devkit")
    path = tmp_path / "devkit/cars_test_annos_withlabels.mat"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cars_test_annos_withlabels.mat is not a w"):
        CARS196Retrieval(root)
    # As it is published first: no labels.
    content = loadmat(tmp_path / "devkit/cars_train_annos.mat")["annotations"]
    fields = [name for name in content.dtype.names if name != "class"]
    savemat(path, dict(annotations=repack_fields(content[fields])))
    with pytest.raises(
        ValueError, match="withlabels.mat: .* fields .*KeyError: .class"
    ):
        CARS196Retrieval(root)
    savemat(path, dict(something=1))
    with pytest.raises(ValueError, match=r"variables \['something'\], not 'annotat"):
        CARS196Retrieval(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="cars_test_annos_withlabels.mat"):
        CARS196Retrieval(root)
