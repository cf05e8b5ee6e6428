import pytest
from mmpretrain.datasets import InShop
from mmpretrain.registry import DATASETS

from semamb_mm.pretrain import InShopRetrieval
from tests.trees.retrieval import make_inshop

from .test_zero_shot_dataset import infos


def test_inshop_has_the_images_of_mmpretrains_own(tmp_path):
    root = make_inshop(tmp_path)
    train = InShopRetrieval(root)
    theirs = InShop(root)
    assert [(i["img_path"], i["gt_label"]) for i in infos(train)] == [
        (i["img_path"], i["gt_label"]) for i in infos(theirs)
    ]
    assert train.metainfo["classes"] == tuple(f"id_{n:08d}" for n in range(1, 5))
    test = DATASETS.build(dict(type="InShopRetrieval", data_root=root, split="test"))
    for role in ("query", "gallery"):
        paths = [i["img_path"] for i in infos(test) if i["role"] == role]
        assert paths == [i["img_path"] for i in infos(InShop(root, split=role))]


def test_queries_and_gallery_are_two_cameras(tmp_path):
    root = make_inshop(tmp_path)
    for split, classes in (("test", {1, 2, 3, 4}), ("val", {1})):
        samples = infos(InShopRetrieval(root, split=split))
        assert {sample["gt_label"] for sample in samples} == classes
        assert {(sample["role"], sample["camera_id"]) for sample in samples} == {
            ("query", 0),
            ("gallery", 1),
        }
        assert len({sample["tracklet_id"] for sample in samples}) == len(samples)


def test_images_and_list_are_found_where_archives_put_them(tmp_path):
    root = make_inshop(tmp_path)
    expected = len(InShopRetrieval(root))
    (tmp_path / "Img/img").rename(tmp_path / "img")
    (tmp_path / "Img").rmdir()
    (tmp_path / "Eval").rename(tmp_path / "Anno")
    assert len(InShopRetrieval(root)) == expected


def test_inshop_names_what_is_wrong(tmp_path):
    root = make_inshop(tmp_path)
    path = tmp_path / "Eval/list_eval_partition.txt"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="partition.txt.*(whole|cells)"):
        InShopRetrieval(root)
    path.write_text("\n".join(text.splitlines()[:-1]))
    with pytest.raises(ValueError, match="line 1 promises '32' rows, there are 31"):
        InShopRetrieval(root)
    path.write_text(text.replace(" gallery", " galery", 1))
    with pytest.raises(
        ValueError, match="line 20: evaluation_status is one of .*galer"
    ):
        InShopRetrieval(root)
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match="no file .*Eval/list_eval_partition.txt"
    ):
        InShopRetrieval(root)


def test_corrected_labels_are_read_as_the_own_ones(tmp_path):
    root = make_inshop(tmp_path)
    dataset = InShopRetrieval(root)
    path = tmp_path / "Eval/list_eval_partition.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    assert [x.split() for x in dataset.corrected_list({}).splitlines()] == rows
    image = infos(dataset)[5]["img_path"]
    path.write_text(dataset.corrected_list({image: "id_00000004"}))
    labels = InShopRetrieval(root).get_gt_labels()
    assert labels[5] == 3
    labels[5] = dataset.get_gt_labels()[5]
    assert (labels == dataset.get_gt_labels()).all()
