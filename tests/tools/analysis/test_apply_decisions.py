"""tools/analysis/apply_decisions.py, called as a user calls it."""

import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import semamb_mm.pose  # noqa: F401
from semamb_mm.audit.sources import open_source
from semamb_mm.formats.coco_keypoints import WHOLE_BODY
from semamb_mm.formats.pts import read_pts
from semamb_mm.pose.latent_targets.samples import keyed_annotations, located_samples
from tests.audit.reviews import decisions_file, write_tree
from tests.trees.coco_style import annotations_of
from tests.trees.faces import write_300vw_frames, write_300w
from tools.analysis import apply_decisions


@pytest.fixture
def given(tmp_path):
    """A tree and decisions about it; what the tool prints when it is called."""
    review = write_tree(tmp_path / "data")
    made = [("000000", 10, "move", [5, 6]), ("000001", 11, "hidden", None)]
    return decisions_file(tmp_path / "decisions.json", review, made), tmp_path


def test_it_says_what_it_did(given, capsys):
    path, folder = given
    arguments = ["--dataset", str(folder / "data"), "--out", str(folder / "out")]
    apply_decisions.main([str(path), *arguments])
    assert read_pts(folder / "out/000000.pts")[10].tolist() == [5, 6]
    assert capsys.readouterr().out.splitlines() == [
        "accept: 0, move: 1, hidden: 1, keep: 0, skip: 0",
        f"wrote {folder / 'out'}, 1 landmarks changed; changes.csv in it",
        "1 hidden landmarks are in changes.csv alone: .pts files have no flag for "
        "them; a COCO file said so already (--hidden 0 says more)",
    ]


@pytest.mark.parametrize(
    ("decisions", "dataset", "message"),
    [
        ("none.json", "data", "No such file"),
        ("data/000000.pts", "data", "not json"),
        ("decisions.json", "nowhere", "no such file or folder"),
        ("decisions.json", "decisions.json", "not a COCO file"),
    ],
)
def test_errors_are_one_line(given, decisions, dataset, message):
    _, folder = given
    paths = [str(folder / decisions), "--dataset", str(folder / dataset)]
    with pytest.raises(SystemExit, match=message) as error:
        apply_decisions.main([*paths, "--out", str(folder / "out")])
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
    assert not (folder / "out").exists()


def coco_style(folder, kind, landmarks):
    """A data set of MMPose's, its config and its annotation file."""
    content = annotations_of(landmarks, 3)
    if kind == "CocoWholeBodyDataset":
        for annotation in content["annotations"]:
            annotation["segmentation"] = []
            values, first = annotation.pop("keypoints"), 0
            for name, length in zip(WHOLE_BODY, (17, 6, 68, 21, 21)):
                annotation[name] = values[3 * first : 3 * (first + length)]
                first += length
    (folder / "faces.json").write_text(json.dumps(content))
    prefix = dict(img="images/")
    fields = dict(data_root=str(folder), ann_file="faces.json", data_prefix=prefix)
    return dict(type=kind, **fields), folder / "faces.json"


def pts_style(folder, kind):
    if kind == "PtsFaceDataset":
        fields = dict(data_prefix=dict(img=["afw", "helen/trainset"]))
        write_300w(folder)
    else:
        fields = dict(ids=["001", "401"])
        write_300vw_frames(folder, fields["ids"])
    return dict(type=kind, data_root=str(folder), **fields), folder


@pytest.mark.parametrize(
    ("kind", "landmarks"),
    [
        ("CocoDataset", 17), ("CocoWholeBodyDataset", 133), ("Face300WDataset", 68),
        ("JhmdbDataset", 15), ("PtsFaceDataset", None), ("Face300VWFrameDataset", None),
    ],
)  # fmt: skip
def test_samples_of_data_sets_are_found(tmp_path, kind, landmarks):
    """By the keys that the audit gives them, with the annotation that it saw."""
    init_default_scope("mmpose")
    make = (kind, landmarks) if landmarks else (kind,)
    config, path = (coco_style if landmarks else pts_style)(tmp_path, *make)
    samples = located_samples(DATASETS.build(config))
    assert len(samples) > 2
    # JHMDB's first pixel is (1, 1), as MMPose reads it.
    origin = int(kind == "JhmdbDataset")
    source = open_source(path, landmarks or 68, origin)
    for key, info in keyed_annotations(samples):
        assert key in source
        np.testing.assert_allclose(
            source.keypoints(key), info["keypoints"][0], atol=1e-4
        )
