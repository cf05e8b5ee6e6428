import numpy as np
import pytest
from numpy.lib.recfunctions import repack_fields
from PIL import Image
from scipy.io import loadmat, savemat

from semamb_mm.pretrain import CARS196Retrieval
from tests.trees.retrieval import SIZE, make_cars

from .test_zero_shot_dataset import PIPELINE, infos


@pytest.mark.parametrize("layout", ["whole", "devkit", "test labels apart", "kaggle"])
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


def test_images_that_are_not_there_are_named_at_once(tmp_path):
    root = make_cars(tmp_path, "devkit")
    (tmp_path / "cars_train").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="no image .*cars_train/00001.jpg"):
        CARS196Retrieval(root)
