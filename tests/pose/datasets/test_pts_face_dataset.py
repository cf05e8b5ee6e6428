import json
import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from PIL import Image, ImageFile

from semamb_mm.formats.images import BadImageError
from semamb_mm.formats.pts import PtsError, read_pts, write_pts
from semamb_mm.pose.datasets import PtsFaceDataset
from semamb_mm.synthetic.faces import render_face

LOAD = [dict(type="mmpose.LoadImage")]
FACES = [render_face(2, index) for index in range(4)]


def put(folder: Path, stem: str, suffix: str = ".jpg", number: int = 0) -> None:
    """Writes one face and its annotation."""
    path = folder / f"{stem}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(suffix.lower(), FACES[number].image)
    path.write_bytes(encoded.tobytes())
    write_pts(path.with_suffix(".pts"), FACES[number].keypoints)


@pytest.fixture
def root(tmp_path):
    """300W's kind of tree: three folders, one of them nested."""
    put(tmp_path, "afw/10_1", ".jpg", 0)
    put(tmp_path, "afw/9_1", ".JPG", 1)
    put(tmp_path, "helen/trainset/77", ".png", 2)
    put(tmp_path, "lfpw/image_1", ".bmp", 3)
    return tmp_path


def keys(dataset):
    return [dataset.get_data_info(idx)["sample_key"] for idx in range(len(dataset))]


def warnings_of(monkeypatch):
    """Collects what the data set warns about."""
    messages = []

    def record(message, logger, level):
        assert level == logging.WARNING
        messages.append(message)

    monkeypatch.setattr("semamb_mm.pose.datasets.pts_face_dataset.print_log", record)
    return messages


# finding samples


def test_finds_all_sorted_in_nested_folders_and_any_suffix_case(root):
    init_default_scope("mmpose")
    dataset = DATASETS.build(
        dict(type="PtsFaceDataset", data_root=str(root), pipeline=LOAD)
    )
    assert keys(dataset) == ["afw/10_1", "afw/9_1", "helen/trainset/77", "lfpw/image_1"]
    for idx, face in enumerate(FACES):
        results = dataset[idx]
        assert results["sample_idx"] == results["id"] == idx
        assert results["img"].shape == (160, 160, 3)
        assert results["keypoints"].dtype == np.float32
        np.testing.assert_allclose(results["keypoints"][0], face.keypoints, atol=1e-3)
        np.testing.assert_array_equal(results["keypoints_visible"], np.ones((1, 68)))
        np.testing.assert_allclose(results["bbox"][0, :2], face.keypoints.min(0), 1e-4)
        np.testing.assert_allclose(results["bbox"][0, 2:], face.keypoints.max(0), 1e-4)


def test_list_of_folders(root):
    dataset = PtsFaceDataset(
        data_root=str(root), data_prefix=dict(img=["lfpw", "helen/trainset"])
    )
    assert keys(dataset) == ["helen/trainset/77", "lfpw/image_1"]


def test_excluded_patterns_are_left_out_of_folders_only(root):
    put(root, "afw/10_1_mirror")
    put(root, "lfpw/image_1_mirror")
    everything = PtsFaceDataset(data_root=str(root))
    assert len(everything) == 6
    chosen = PtsFaceDataset(data_root=str(root), exclude=["*_mirror", "helen/*"])
    assert keys(chosen) == ["afw/10_1", "afw/9_1", "lfpw/image_1"]
    (root / "list.txt").write_text("afw/10_1_mirror\n")
    listed = PtsFaceDataset(
        data_root=str(root), ann_file="list.txt", exclude="*_mirror"
    )
    assert keys(listed) == ["afw/10_1_mirror"]


def test_overlapping_folders_give_each_face_once(root):
    dataset = PtsFaceDataset(data_root=str(root), data_prefix=dict(img=["", "afw/"]))
    assert len(dataset) == 4


def test_ignores_other_and_hidden_files(root):
    (root / "afw" / "readme.txt").write_text("hello")
    (root / "afw" / "._10_1.jpg").write_bytes(b"macOS")
    (root / ".cache").mkdir()
    put(root, ".cache/1")
    assert len(PtsFaceDataset(data_root=str(root))) == 4


@pytest.mark.parametrize("serialize_data", [True, False])
def test_indices_and_subset(root, serialize_data):
    dataset = PtsFaceDataset(
        data_root=str(root), indices=[3, 0], serialize_data=serialize_data
    )
    assert keys(dataset) == ["lfpw/image_1", "afw/10_1"]
    assert dataset.get_data_info(0)["sample_idx"] == 0
    assert keys(dataset.get_subset([1])) == ["afw/10_1"]


def test_keys_do_not_depend_on_where_the_data_lie(root, monkeypatch):
    expected = keys(PtsFaceDataset(data_root=str(root)))
    monkeypatch.chdir(root.parent)
    assert keys(PtsFaceDataset(data_root=root.name)) == expected
    monkeypatch.chdir(root)
    assert keys(PtsFaceDataset()) == expected


def test_missing_folder_and_empty_folder(root):
    with pytest.raises(FileNotFoundError, match="nowhere.*fix data_root"):
        PtsFaceDataset(data_root=str(root), data_prefix=dict(img="nowhere"))
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="no usable samples in .*empty"):
        PtsFaceDataset(data_root=str(root), data_prefix=dict(img="empty"))


# list files


def test_list_file_keeps_its_order(root):
    (root / "train.txt").write_text(
        "# a comment\n\nlfpw/image_1\nafw/9_1.JPG\r\n  afw/10_1.pts\n", newline=""
    )
    dataset = PtsFaceDataset(data_root=str(root), ann_file="train.txt")
    assert keys(dataset) == ["lfpw/image_1", "afw/9_1", "afw/10_1"]


def test_several_list_files_and_folders(root):
    (root / "a.txt").write_text("10_1\n")
    (root / "b.txt").write_text("trainset/77\n")
    dataset = PtsFaceDataset(
        data_root=str(root),
        data_prefix=dict(img=["afw", "helen"]),
        ann_file=["a.txt", "b.txt"],
        test_mode=True,
    )
    assert keys(dataset) == ["afw/10_1", "helen/trainset/77"]


def test_stem_with_dots(root):
    put(root, "afw/photo.v2")
    (root / "train.txt").write_text("afw/photo.v2\n")
    dataset = PtsFaceDataset(data_root=str(root), ann_file="train.txt")
    assert keys(dataset) == ["afw/photo.v2"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ValueError, "list.txt: an empty list; expected one sample a line"),
        ("# none yet\n\n", ValueError, "list.txt: an empty list"),
        ("afw/10_1\nafw/11\n", BadImageError, "list.txt, line 2: no image .*afw/11"),
        (
            "afw/10_1\n\nafw/10_1.jpg",
            ValueError,
            "line 3: .* already named by .* line 1",
        ),
        ("nofolder/1", BadImageError, "list.txt, line 1: no image"),
    ],
)
def test_bad_list_files(root, text, error, message):
    (root / "list.txt").write_text(text)
    with pytest.raises(error, match=message):
        PtsFaceDataset(data_root=str(root), ann_file="list.txt")


def test_list_file_that_is_not_there_or_not_text(root):
    with pytest.raises(FileNotFoundError, match=r"no list file .*train.txt.*ann_file"):
        PtsFaceDataset(data_root=str(root), ann_file="train.txt")
    with pytest.raises(ValueError, match="not a text file"):
        PtsFaceDataset(data_root=str(root), ann_file="afw/10_1.jpg")


def test_listed_in_two_folders(root):
    put(root, "lfpw/10_1")
    (root / "list.txt").write_text("10_1\n")
    with pytest.raises(ValueError, match="line 1: '10_1' is in several folders"):
        PtsFaceDataset(
            data_root=str(root),
            data_prefix=dict(img=["afw", "lfpw"]),
            ann_file="list.txt",
        )


def test_listed_without_annotation(root):
    (root / "afw/9_1.pts").unlink()
    (root / "list.txt").write_text("afw/10_1\nafw/9_1\n")
    with pytest.raises(PtsError, match=r"list.txt, line 2: no annotation .*9_1.pts"):
        PtsFaceDataset(data_root=str(root), ann_file="list.txt")


# bad annotations


def damage(path, change):
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(9), r"line 2: n_points says 68, but 67"),
        (lambda lines: lines.__setitem__(9, "left eye"), r"line 10: 'left eye'"),
        (lambda lines: lines.__setitem__(9, "nan nan"), r"line 10: 'nan nan'.*finite"),
        (lambda lines: lines.__setitem__(9, "9999 80"), r"landmark 6 .*\(9999, 80\)"),
        (lambda lines: lines.__setitem__(9, "80 -400"), r"landmark 6 .*-400\)"),
        (
            lambda lines: lines.__setitem__(slice(3, 71), ["0 0"] * 68),
            r"span 0 x 0 px",
        ),
        (
            lambda lines: lines.__setitem__(
                slice(3, 71), [f"{i % 50 - 51} {i}" for i in range(68)]
            ),
            r"all landmarks lie outside the 160 x 160 px image",
        ),
    ],
)
def test_bad_annotation_names_file_and_line(root, change, message, monkeypatch):
    path = root / "afw/9_1.pts"
    damage(path, change)
    with pytest.raises(PtsError, match=message) as caught:
        PtsFaceDataset(data_root=str(root))
    assert str(caught.value).startswith(str(path))
    assert "on_bad_annotation='skip'" in str(caught.value)

    warned = warnings_of(monkeypatch)
    dataset = PtsFaceDataset(data_root=str(root), on_bad_annotation="skip")
    assert keys(dataset) == ["afw/10_1", "helen/trainset/77", "lfpw/image_1"]
    assert len(warned) == 1
    assert "left out (1 so far)" in warned[0] and str(path) in warned[0]


def test_image_without_annotation(root):
    (root / "afw/9_1.pts").unlink()
    with pytest.raises(PtsError, match="no annotation .*9_1.pts"):
        PtsFaceDataset(data_root=str(root))
    assert len(PtsFaceDataset(data_root=str(root), on_bad_annotation="skip")) == 3


def test_landmarks_just_outside_are_invisible(root, monkeypatch):
    keypoints = FACES[1].keypoints.copy()
    keypoints[0] = (-0.4, 80)  # within the first pixel
    keypoints[1] = (-0.6, 85)
    keypoints[8] = (80, 159.6)
    write_pts(root / "afw/9_1.pts", keypoints)
    warned = warnings_of(monkeypatch)
    info = PtsFaceDataset(data_root=str(root)).get_data_info(1)
    np.testing.assert_allclose(info["keypoints"][0], keypoints, atol=1e-3)
    assert np.flatnonzero(info["keypoints_visible"][0] == 0).tolist() == [1, 8]
    assert info["num_keypoints"] == 66
    assert len(warned) == 1
    assert "2 landmarks of 1 faces" in warned[0]


def test_other_layouts_by_metainfo(root):
    with pytest.raises(PtsError, match="68 landmarks in the file; expected 29"):
        PtsFaceDataset(
            data_root=str(root),
            metainfo=dict(from_file="configs/_base_/datasets/cofw.py"),
        )


def test_origin(root):
    zero = PtsFaceDataset(data_root=str(root)).get_data_info(0)
    one = PtsFaceDataset(data_root=str(root), origin=1).get_data_info(0)
    np.testing.assert_allclose(one["keypoints"], zero["keypoints"] - 1, atol=1e-4)


# bad images


def test_annotation_without_image(root, monkeypatch):
    (root / "afw/9_1.JPG").unlink()
    with pytest.raises(BadImageError, match=r"no image .*9_1.*on_bad_image='skip'"):
        PtsFaceDataset(data_root=str(root))
    warned = warnings_of(monkeypatch)
    assert len(PtsFaceDataset(data_root=str(root), on_bad_image="skip")) == 3
    assert len(warned) == 1


def test_two_images_of_one_stem(root):
    put(root, "afw/9_1", ".png")
    with pytest.raises(BadImageError, match=r"2 images share.*9_1.JPG', '9_1.png"):
        PtsFaceDataset(data_root=str(root))


def test_not_an_image_at_all(root):
    (root / "lfpw/image_1.bmp").write_text("404 not found")
    with pytest.raises(BadImageError, match="image_1.bmp: not a readable image"):
        PtsFaceDataset(data_root=str(root))
    assert len(PtsFaceDataset(data_root=str(root), on_bad_image="skip")) == 3


TRUNCATED = ["afw/9_1.JPG", "helen/trainset/77.png", "lfpw/image_1.bmp"]


@pytest.mark.parametrize("share", [0.5, 0.97])
@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_image_is_an_error_that_names_it(root, name, share):
    whole = (root / name).read_bytes()
    (root / name).write_bytes(whole[: int(share * len(whole))])
    dataset = PtsFaceDataset(data_root=str(root), pipeline=LOAD)
    with pytest.raises(BadImageError, match=f"{name}.*in full.*on_bad_image='skip'"):
        for idx in range(4):
            dataset[idx]


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_image_is_replaced_in_training(root, name, monkeypatch):
    whole = (root / name).read_bytes()
    (root / name).write_bytes(whole[: len(whole) // 2])
    warned = warnings_of(monkeypatch)
    arguments = dict(data_root=str(root), pipeline=LOAD, on_bad_image="skip")
    dataset = PtsFaceDataset(**arguments)
    for _ in range(3):  # one warning a file, however often it is met
        for idx in range(4):
            assert not dataset[idx]["img_path"].endswith(name)
    assert len(warned) == 1
    assert "bad image skipped (1 so far)" in warned[0] and name in warned[0]
    test_set = PtsFaceDataset(**arguments, test_mode=True)
    with pytest.raises(BadImageError, match=name):
        for idx in range(4):
            test_set[idx]


def test_leniency_that_others_set_is_neither_used_nor_changed(root, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole = (root / "afw/10_1.jpg").read_bytes()
    (root / "afw/10_1.jpg").write_bytes(whole[: len(whole) // 2])
    dataset = PtsFaceDataset(data_root=str(root), pipeline=LOAD)
    with pytest.raises(BadImageError):
        dataset[0]
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_each_image_is_checked_once(root, monkeypatch):
    dataset = PtsFaceDataset(data_root=str(root), pipeline=LOAD)
    dataset[0]

    def fail(path):
        raise AssertionError(f"{path} read again")

    monkeypatch.setattr("semamb_mm.pose.datasets.pts_face_dataset.check_image", fail)
    dataset[0]


def test_turned_photographs_have_the_size_that_opencv_loads(root):
    path = root / "afw/10_1.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    Image.new("RGB", (160, 80)).save(path, exif=exif)
    assert cv2.imread(str(path)).shape == (160, 80, 3)
    dataset = PtsFaceDataset(data_root=str(root))
    info = dataset.get_data_info(0)
    expected = info["keypoints"][0, :, 0] < 79.5
    np.testing.assert_array_equal(info["keypoints_visible"][0], expected)


def test_wrong_arguments(root):
    for option in ("on_bad_image", "on_bad_annotation"):
        with pytest.raises(ValueError, match=f"{option} is 'ignore'"):
            PtsFaceDataset(data_root=str(root), **{option: "ignore"})
    with pytest.raises(ValueError, match="origin is 0.5"):
        PtsFaceDataset(data_root=str(root), origin=0.5)


# real data


def shared(folder: str) -> Path:
    """A folder of real data, where the environment says that there is one."""
    place = os.environ.get("SEMAMB_SHARED")
    if not place:
        pytest.skip("real data: set SEMAMB_SHARED to a folder that has data/")
    path = Path(place) / "data" / folder
    if not path.is_dir():
        pytest.skip(f"real data: no {path}")
    return path


def test_real_faces():
    root = shared("300w_subset")
    everything = set(keys(PtsFaceDataset(data_root=str(root))))
    assert len(everything) == 1207
    train, val = (
        PtsFaceDataset(data_root=str(root), ann_file=name, pipeline=LOAD)
        for name in ("train.txt", "val.txt")
    )
    assert (len(train), len(val)) == (1033, 174)
    assert set(keys(train)) | set(keys(val)) == everything
    folders = PtsFaceDataset(
        data_root=str(root), data_prefix=dict(img=["afw", "helen/trainset"])
    )
    assert set(keys(folders)) == everything
    for idx in range(0, 174, 20):
        results = val[idx]
        assert max(results["img"].shape) <= 384
        assert results["keypoints_visible"].all()


def test_pts_coordinates_are_those_of_mmpose():
    """MMPose's 300-VW json holds the .pts numbers as they are: origin 0."""
    root = shared("mmpose_fixtures/300vw")
    annotations = json.loads((root / "anno_300vw.json").read_text())
    names = {image["id"]: image["file_name"] for image in annotations["images"]}
    for annotation in annotations["annotations"]:
        video, _, name = names[annotation["image_id"]].split("/")
        path = root / video / "annot" / Path(name).with_suffix(".pts")
        expected = np.array(annotation["keypoints"]).reshape(68, 3)[:, :2]
        np.testing.assert_allclose(read_pts(path), expected, atol=1e-3)


def test_equals_mmpose_300w_dataset(tmp_path):
    """The same faces through MMPose's loader and, as .pts files, through ours."""
    root = shared("mmpose_fixtures/300w")
    theirs = DATASETS.build(
        dict(
            type="mmpose.Face300WDataset",
            ann_file=str(root / "test_300w.json"),
            data_prefix=dict(img=str(root)),
        )
    )
    infos = [theirs.get_data_info(idx) for idx in range(len(theirs))]
    infos.sort(key=lambda info: info["img_path"])
    for info in infos:
        image = Path(info["img_path"])
        (tmp_path / image.name).write_bytes(image.read_bytes())
        write_pts(tmp_path / image.with_suffix(".pts").name, info["keypoints"][0])
    ours = PtsFaceDataset(data_root=str(tmp_path))
    assert len(ours) == len(infos) == 2
    for idx, info in enumerate(infos):
        mine = ours.get_data_info(idx)
        for key in ("keypoints", "keypoints_visible"):
            np.testing.assert_allclose(mine[key], info[key], atol=1e-3)
        for key in ("flip_indices", "dataset_keypoint_weights", "dataset_name"):
            np.testing.assert_array_equal(mine[key], info[key])
