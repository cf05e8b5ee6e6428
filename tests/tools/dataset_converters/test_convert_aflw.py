"""tools/dataset_converters/convert_aflw.py on a small list, read back by MMPose."""

import numpy as np
import pytest
from mmpose.registry import METRICS
from scipy.io import savemat

from tests.trees.faces import AFLW_NAMES, aflw_fields, write_aflw


def test_aflw_is_read_by_mmpose(tmp_path, convert, load):
    write_aflw(tmp_path)
    convert("convert_aflw", tmp_path, workers=2)
    fields = aflw_fields()
    rows = {"train": [2, 0, 5, 1], "test": [4, 3], "test_frontal": [4, 3]}
    for split, expected in rows.items():
        name = f"face_landmarks_aflw_{split}.json"
        dataset = load("AFLWDataset", tmp_path, name, test_mode=True)
        infos = {
            info["id"]: info for info in map(dataset.get_data_info, range(len(dataset)))
        }
        assert sorted(infos) == sorted(row + 1 for row in expected)
        for row in expected:
            info = infos[row + 1]
            assert info["img_path"] == f"{tmp_path}/data/flickr/{AFLW_NAMES[row]}"
            x, y = np.split(fields["data"][row], 2)
            np.testing.assert_allclose(
                info["keypoints"][0], np.stack([x, y], 1), atol=1e-4
            )
            left, right, top, bottom = fields["bbox"][row]
            np.testing.assert_allclose(
                info["bbox"][0], [left, top, right, bottom], atol=1e-3
            )
            assert info["box_size"] == pytest.approx(right - left)
    visible = {
        info["id"]: info["keypoints_visible"][0]
        for info in load("AFLWDataset", tmp_path, "face_landmarks_aflw_train.json")
    }
    # The hidden landmark counts, the one without a label does not.
    assert visible[6].all()
    assert visible[2].tolist() == [0] + [1] * 18


# MMPose says that it takes the box of the file, as it should.
@pytest.mark.filterwarnings('ignore:Use the existing "bbox_center":UserWarning:mmpose')
def test_aflw_nme_is_divided_by_the_face_size(tmp_path, convert, load):
    """The whole way: list, json, MMPose's data set and packing, FaceNME."""
    fields = aflw_fields()
    fields["bbox"][:, 3] += 15  # not square
    write_aflw(tmp_path, **fields)
    convert("convert_aflw", tmp_path)
    pipeline = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="TopdownAffine", input_size=(64, 64)),
        dict(type="PackPoseInputs"),
    ]
    dataset = load(
        "AFLWDataset",
        tmp_path,
        "face_landmarks_aflw_test.json",
        pipeline=pipeline,
        test_mode=True,
    )
    metric = METRICS.build(dict(type="FaceNME", norms=("bbox_size",), box="annotation"))
    shift = 3.0
    expected = []
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        truth = sample.gt_instances
        prediction = dict(keypoints=truth.keypoints + [shift, 0])
        metric.process(
            None,
            [
                dict(
                    gt_instances=truth.to_dict(),
                    pred_instances=prediction,
                    img_path=sample.img_path,
                )
            ],
        )
        left, right, top, bottom = fields["bbox"][sample.metainfo["id"] - 1]
        expected.append(shift / np.sqrt((right - left) * (bottom - top)))
    figures = metric.evaluate(len(dataset))
    assert figures["NME/bbox_size"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_aflw_missing_and_damaged_images_are_named(tmp_path, convert, capsys, load):
    write_aflw(tmp_path)
    flickr = tmp_path / "data" / "flickr"
    (flickr / "0" / "image00002.jpg").unlink()
    short = flickr / "2" / "image00004.jpg"
    short.write_bytes(short.read_bytes()[:-300])
    with pytest.raises(SystemExit, match="aflw: 2 bad images, nothing written"):
        convert("convert_aflw", tmp_path)
    out = capsys.readouterr().out
    assert f"bad: {flickr}/0/image00002.jpg: " in out
    assert f"bad: {short}: the image cannot be read in full" in out
    assert not (tmp_path / "annotations").exists()
    convert("convert_aflw", tmp_path, "--skip-bad")
    dataset = load("AFLWDataset", tmp_path, "face_landmarks_aflw_train.json")
    assert len(dataset) == 1


def test_aflw_without_list_or_images(tmp_path, convert):
    with pytest.raises(SystemExit, match="no AFLWinfo_release.mat in"):
        convert("convert_aflw", tmp_path)
    savemat(tmp_path / "AFLWinfo_release.mat", aflw_fields())
    with pytest.raises(SystemExit, match="none of the 5 images that the list names"):
        convert("convert_aflw", tmp_path)


def test_help(convert, capsys):
    with pytest.raises(SystemExit) as stopped:
        convert("convert_aflw", "--help")
    assert stopped.value.code == 0
    assert "the data set's folder" in capsys.readouterr().out
