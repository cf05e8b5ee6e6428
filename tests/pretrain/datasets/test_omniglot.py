import io
import zipfile

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from semamb_mm.pretrain import OmniglotRetrieval

ALPHABETS = {
    "images_background_small1": ("Balinese", "Greek"),
    "images_background_small2": ("Greek", "Japanese_(katakana)", "Sanskrit", "Tagalog"),
    "images_background": ("Greek", "Sanskrit"),
    "images_evaluation": ("Tengwar",),
}


def drawing(seed):
    pixels = np.random.default_rng(seed).integers(0, 2, (15, 15)) * 255
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).convert("1").save(file, format="PNG")
    return file.getvalue()


def members(part):
    return [
        (f"{part}/{alphabet}/character0{c}/0{c}01_0{d}.png", drawing(10 * c + d))
        for alphabet in ALPHABETS[part]
        for c in (1, 2)
        for d in (1, 2, 3)
    ]


def make_folders(root):
    for part in ALPHABETS:
        for name, data in members(part):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    return str(root)


def make_archives(root):
    for part in ALPHABETS:
        with zipfile.ZipFile(root / f"{part}.zip", "w") as archive:
            for name, data in members(part):
                archive.writestr(name, data)
    return str(root)


@pytest.mark.parametrize("make", [make_folders, make_archives])
@pytest.mark.parametrize(
    ("version", "split", "characters"),
    [("small", "train", 4), ("small", "test", 6), ("full", "test", 2)],
)
def test_splits_from_folders_and_archives(tmp_path, make, version, split, characters):
    dataset = OmniglotRetrieval(make(tmp_path), split=split, version=version)
    assert len(dataset) == 3 * characters
    assert len(dataset.metainfo["classes"]) == characters
    assert np.bincount(dataset.get_gt_labels()).tolist() == [3] * characters
    assert dataset.test_mode == (split == "test")
    image = LoadImageFromFile()(dataset.get_data_info(0))["img"]
    expected = Image.open(io.BytesIO(drawing(11))).convert("RGB")
    assert (image == np.array(expected)).all()


def test_no_test_alphabet_is_trained_on(tmp_path):
    root = make_folders(tmp_path)
    trained = {c.split("/")[0] for c in OmniglotRetrieval(root).metainfo["classes"]}
    test = OmniglotRetrieval(root, split="test").metainfo["classes"]
    assert trained == {"Balinese", "Greek"}
    assert {c.split("/")[0] for c in test} == set(
        ALPHABETS["images_background_small2"][1:]
    )


def test_alphabets_can_be_held_out(tmp_path):
    root = make_folders(tmp_path)
    dataset = OmniglotRetrieval(root, alphabets=["Greek"])
    assert dataset.metainfo["classes"] == ("Greek/character01", "Greek/character02")
    with pytest.raises(ValueError, match=r"\['Balinese', 'Greek'\], not \['Klingon'\]"):
        OmniglotRetrieval(root, alphabets=["Greek", "Klingon"])


def test_val_holds_whole_training_alphabets_out(tmp_path):
    root = make_folders(tmp_path)
    left, held = (OmniglotRetrieval(root, split=s) for s in ("train_only", "val"))
    assert {c.split("/")[0] for c in left.metainfo["classes"]} == {"Balinese"}
    assert {c.split("/")[0] for c in held.metainfo["classes"]} == {"Greek"}
    with pytest.raises(ValueError, match="OmniglotRetrieval: val needs two groups"):
        OmniglotRetrieval(root, split="val", alphabets=["Greek"])


def test_wrong_labels_are_planted_once_and_known(tmp_path):
    root = make_folders(tmp_path)
    clean = OmniglotRetrieval(root)
    noisy = OmniglotRetrieval(root, label_noise=0.25, noise_seed=3)
    infos = [noisy.get_data_info(i) for i in range(len(noisy))]
    true = np.array([info["true_label"] for info in infos])
    assert (true == clean.get_gt_labels()).all()
    assert (noisy.get_gt_labels() != true).sum() == round(0.25 * len(clean))
    again = OmniglotRetrieval(root, label_noise=0.25, noise_seed=3)
    assert (again.get_gt_labels() == noisy.get_gt_labels()).all()
    other = OmniglotRetrieval(root, label_noise=0.25, noise_seed=4)
    assert (other.get_gt_labels() != noisy.get_gt_labels()).any()
    assert "true_label" not in clean.get_data_info(0)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="images_background_small1"):
        OmniglotRetrieval(str(tmp_path))
    with pytest.raises(ValueError, match="split is one of"):
        OmniglotRetrieval(str(tmp_path), split="valid")
    with pytest.raises(ValueError, match="version"):
        OmniglotRetrieval(str(tmp_path), version="large")
    with pytest.raises(ValueError, match="label_noise"):
        OmniglotRetrieval(str(tmp_path), label_noise=20)
    (tmp_path / "images_background_small1").mkdir()
    with pytest.raises(ValueError, match="no image of split 'train'"):
        OmniglotRetrieval(str(tmp_path))
    (tmp_path / "images_background_small2.zip").write_bytes(b"PK cut off")
    with pytest.raises(ValueError, match="small2.zip is not a whole zip archive"):
        OmniglotRetrieval(str(tmp_path), split="test")


def test_missing_member_is_named(tmp_path):
    make_archives(tmp_path)
    path = f"zip://{tmp_path}/images_evaluation.zip/images_evaluation/nothing.png"
    with pytest.raises(FileNotFoundError, match=r"images_evaluation.zip has no .*noth"):
        LoadImageFromFile()(dict(img_path=path))


def test_corrections_of_archives_are_below_the_root_from_any_folder(
    tmp_path, monkeypatch
):
    (tmp_path / "data").mkdir()
    root = make_archives(tmp_path / "data")
    before = OmniglotRetrieval(root)
    image = before.get_data_info(1)["img_path"]
    path = tmp_path / "corrected.csv"
    path.write_text(before.corrected_list({image: before.metainfo["classes"][-1]}))
    row = path.read_text().splitlines()[1]
    assert row.startswith("images_background_small1.zip/images_background_small1/")
    monkeypatch.chdir(tmp_path)
    for spelled in (root, "data", "./data/"):
        after = OmniglotRetrieval(spelled, corrections=str(path)).get_gt_labels()
        changed = np.flatnonzero(after != before.get_gt_labels())
        assert changed.tolist() == [1]
