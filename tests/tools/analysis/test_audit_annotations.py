"""tools/analysis/audit_annotations.py, called as a user calls it."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from semamb_mm.audit import relabel
from semamb_mm.formats.pts import read_pts, write_pts
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)
from semamb_mm.pose.finished.held_out import Predictions
from tests import ROOT
from tests.audit.reviews import content_of
from tests.small_detector import write_model
from tests.tools.conftest import BODIES, NO_WORKERS
from tests.tools.processes import run, train_folds_here
from tests.trees.faces import write_300vw_frames
from tools import train
from tools.analysis import apply_decisions, audit_annotations

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_sa_300w-subset-96x96.py"
TOOL = "tools/analysis/audit_annotations.py"
FACES = 12


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A .pts folder and a checkpoint trained on it."""
    folder = tmp_path_factory.mktemp("audit")
    data = folder / "data"
    write_pts_tree(SyntheticFaceDataset(num_samples=FACES, image_size=96), data)
    names = "".join(f"images/{i:06d}\n" for i in range(FACES))
    for split in ("train", "val"):
        (data / f"{split}.txt").write_text(names)
    options = [
        *NO_WORKERS[:4], "train_cfg.max_epochs=2", "train_cfg.val_interval=9",
        "custom_hooks.1.start=1", "default_hooks.checkpoint.save_best=None",
    ]  # fmt: skip
    work = folder / "work"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_ROOT", str(data))
        train.main([str(CONFIG), "--work-dir", str(work), "--cfg-options", *options])
    return data, work / "epoch_2.pth", folder


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_pts_folder_is_ranked_relabelled_and_left_alone(trained):
    data, checkpoint, folder = trained
    before, out = contents(data), folder / "out"
    done = run(
        TOOL, CONFIG, checkpoint, "--out-dir", out, "--threshold", 0.5,
        "--relabel", "suspects", DATA_ROOT=str(data),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "was trained on these annotations" in done.stdout
    assert contents(data) == before
    with open(out / "landmarks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FACES * 68
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    suspects = {
        (r["sample"], int(r["landmark"])): r for r in rows if r["suspect"] == "1"
    }
    assert 0 < len(suspects) < len(rows)
    assert all(float(row["score"]) >= 0.5 for row in suspects.values())
    replaced = 0
    for i in range(FACES):
        name = f"images/{i:06d}"
        old = read_pts(data / f"{name}.pts")
        new = read_pts(out / "relabelled" / f"{name}.pts")
        assert (out / "relabelled" / f"{name}.png").resolve().is_file()
        for k in range(68):
            row = suspects.get((name, k))
            if row is None or not (new[k] != old[k]).any():
                np.testing.assert_allclose(new[k], old[k], atol=1e-3)
                continue
            replaced += 1
            predicted = float(row["prediction_x"]), float(row["prediction_y"])
            np.testing.assert_allclose(new[k], predicted, atol=0.01)
    assert replaced > 0
    review = (out / "review.html").read_text()
    assert "images/" in review and "wrong label" in review
    page = (out / "audit.html").read_text()
    assert page.count("data:image/") >= 2 and 'src="http' not in page
    with open(out / "samples.csv", newline="") as file:
        samples = list(csv.DictReader(file))
    counts = [int(row["suspects"]) for row in samples]
    assert len(samples) == FACES and sum(counts) == len(suspects)
    # By the worst suspect of each, as the landmarks are listed.
    order = list(dict.fromkeys(sample for sample, _ in suspects))
    assert [row["sample"] for row in samples][: len(order)] == order


def test_what_is_accepted_on_the_review_page_reaches_a_copy(trained, monkeypatch):
    data, checkpoint, folder = trained
    monkeypatch.setenv("DATA_ROOT", str(data))
    out, options = folder / "reviewed", ["--threshold", "0.5", "--views", "1"]
    audit_annotations.main(
        [str(CONFIG), str(checkpoint), "--out-dir", str(out), *options]
    )
    with open(out / "landmarks.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["suspect"] == "1"]
    content = content_of(out / "review.html")
    asked, samples = content["suspects"], content["samples"]
    scores = [suspect["score"] for suspect in asked]
    np.testing.assert_allclose(scores, [float(r["score"]) for r in rows], atol=2e-3)
    worst = asked[0]
    key, k = samples[worst["sample"]]["key"], worst["landmark"]
    assert worst["reason"] and samples[worst["sample"]]["picture"]
    accepted = dict(
        sample=key,
        landmark=k,
        decision="accept",
        annotation=samples[worst["sample"]]["points"][k],
        point=worst["proposal"],
    )
    content.update(samples={key: samples[worst["sample"]]}, decisions=[accepted])
    (folder / "decisions.json").write_text(json.dumps(content))
    paths = [str(folder / "decisions.json"), "--dataset", str(data)]
    apply_decisions.main([*paths, "--out", str(folder / "copy")])
    new, old = (read_pts(root / f"{key}.pts") for root in (folder / "copy", data))
    np.testing.assert_allclose(new[k], worst["proposal"], atol=1e-3)
    np.testing.assert_array_equal(np.delete(new, k, 0), np.delete(old, k, 0))


def test_writing_into_the_data_is_refused(trained, monkeypatch):
    data, checkpoint, _ = trained
    monkeypatch.setenv("DATA_ROOT", str(data))
    with pytest.raises(SystemExit, match="inside the data root"):
        audit_annotations.main(
            [str(CONFIG), str(checkpoint), "--out-dir", str(data / "audit")]
        )
    assert not (data / "audit").exists()


def test_a_hidden_landmark_keeps_its_place_in_the_relabelled_file(tmp_path):
    data = tmp_path / "data"
    write_pts_tree(SyntheticFaceDataset(num_samples=1, image_size=96), data)
    (data / "all.txt").write_text("images/000000\n")
    old = read_pts(data / "images/000000.pts", 68)
    old[9] = [40.0, 101.0]  # below the image: not visible, NaN to the audit
    write_pts(data / "images/000000.pts", old)
    faces = PtsFaceDataset(data_root=str(data), ann_file="all.txt")
    info = faces.get_data_info(0)
    assert not info["keypoints_visible"][0, 9]
    labels = old + 1
    labels[9] = np.nan
    relabel.relabel_sample(faces, info, labels, tmp_path / "new")
    new = read_pts(tmp_path / "new/images/000000.pts", 68)
    np.testing.assert_allclose(new[9], old[9], atol=1e-2)
    np.testing.assert_allclose(
        np.delete(new, 9, 0), np.delete(old, 9, 0) + 1, atol=1e-2
    )


def test_drawn_faces_are_audited_and_relabelled(tmp_path, capsys):
    """Procedural faces, as in the demo, have no files to stand beside."""
    path, checkpoint = write_model(tmp_path)
    options = ["train_dataloader.dataset.num_samples=10"]
    out = tmp_path / "out"
    audit_annotations.main(
        [
            *(path, checkpoint, "--out-dir", str(out), "--relabel", "suspects"),
            *("--views", "1", "--cfg-options", *options),
        ]
    )
    assert "of 10 samples" in capsys.readouterr().out
    assert (out / "audit.html").is_file()
    assert len(list((out / "relabelled").glob("*.pts"))) == 10


def test_suspects_of_videos_are_told_and_corrected_by_track(tmp_path, capsys):
    """An untrained detector disagrees everywhere: long tracks."""
    data, out = write_300vw_frames(tmp_path / "data", ["a", "b"], 8), tmp_path / "out"
    path, checkpoint = write_model(tmp_path)
    config = Config.fromfile(path)
    videos = dict(type="Face300VWFrameDataset", data_root=str(data), ids=["a", "b"])
    config.train_dataloader.dataset = videos
    config.dump(path)
    options = [
        "--views",
        "1",
        "--threshold",
        "-9",
        "--num-faces",
        "1",
        "--out-dir",
        str(out),
    ]
    audit_annotations.main([path, checkpoint, *options])
    tables = []
    for name in ("landmarks", "tracks"):
        with open(out / f"{name}.csv", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    suspects = [row for row in tables[0] if row["suspect"] == "1"]
    tracks = tables[1]
    assert 0 < len(tracks) < len(suspects)
    assert sum(int(row["suspects"]) for row in tracks) == len(suspects)
    scores = [float(row["worst_score"]) for row in tracks]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == float(suspects[0]["score"])
    assert f"They make {len(tracks)} tracks" in capsys.readouterr().out
    assert f"<td>{tracks[0]['worst_score']}</td>" in (out / "audit.html").read_text()

    content = content_of(out / "review.html")
    asked, samples = content["suspects"], content["samples"]
    track = asked[0]["track"]
    decisions = [
        dict(
            sample=samples[s["sample"]]["key"],
            landmark=s["landmark"],
            decision="accept",
            annotation=samples[s["sample"]]["points"][s["landmark"]],
            point=s["proposal"],
        )
        for s in asked
        if s["track"] == track
    ]
    assert len(decisions) == content["tracks"][track]["count"] > 1
    content.update(decisions=decisions, samples={s["key"]: s for s in samples})
    (tmp_path / "decisions.json").write_text(json.dumps(content))
    paths = [str(tmp_path / "decisions.json"), "--dataset", str(data)]
    apply_decisions.main([*paths, "--out", str(tmp_path / "copy")])
    for made in decisions:
        video, number = made["sample"].split("/")
        new = read_pts(tmp_path / f"copy/{video}/annot/{number}.pts")
        np.testing.assert_allclose(new[made["landmark"]], made["point"], atol=1e-3)


def test_videos_of_several_data_sets_are_told_apart():
    one, other = SimpleNamespace(), SimpleNamespace()
    infos = [dict(sequence_id=7, frame_number=3), dict(sequence_id=7, frame_number=4)]
    frames = audit_annotations.frames_of([(one, 0), (one, 1)], infos)
    assert (frames.videos, frames.numbers.tolist()) == (["7", "7"], [3, 4])
    frames = audit_annotations.frames_of([(one, 0), (other, 0)], infos)
    assert frames.videos == ["0:7", "1:7"]
    assert audit_annotations.frames_of([(one, 0)], [{}]).videos == [""]


def test_where_the_truth_is_known_it_is_told_how_many_are_right():
    truth = np.zeros((2, 3, 2))
    sample = SimpleNamespace(true_keypoints=truth.__getitem__)
    suspects = np.array([[True, True, False], [False, True, True]])
    audit = SimpleNamespace(
        suspects=suspects, annotations=truth + 3, predictions=truth + 1
    )
    audit.predictions[0, 1] = 9  # further off than the annotation
    text = audit_annotations.against_truth(audit, [(sample, 0), (sample, 1)])
    assert "of 4 suspects, 3 lie further" in text


@pytest.fixture(scope="module")
def folded(stock_bodies, tmp_path_factory):
    """An audit of a stock set of bodies by two folds, trained in this process."""
    folder = tmp_path_factory.mktemp("folded")
    commands = []

    def audit(*more):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(stock_bodies.folder)
            train_folds_here(patch, commands)
            options = ["--folds", "2", "--work-dir", str(folder / "work")]
            options += ["--out-dir", str(folder / "out"), "--views", "2"]
            audit_annotations.main([stock_bodies.config, *options, *map(str, more)])

    audit()
    return SimpleNamespace(folder=folder, audit=audit, commands=commands)


def test_every_sample_is_judged_by_a_detector_that_has_not_seen_it(folded):
    assert len(folded.commands) == 2
    trained_on, held_out = [], []
    for fold in range(2):
        run_folder = folded.folder / f"work/fold{fold}"
        plan = Config.fromfile(run_folder / "planned/config.py")
        trained_on.append(set(plan.train_dataloader.dataset.indices))
        found = Predictions.load(run_folder / "held_out_2views.npz")
        held_out.append(len(found.points))
        assert (found.spread > 0).any()
    assert trained_on[0] | trained_on[1] == set(range(BODIES))
    assert not trained_on[0] & trained_on[1]
    assert held_out == [BODIES - len(rows) for rows in trained_on]
    out = folded.folder / "out"
    with open(out / "samples.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == BODIES
    page = (out / "audit.html").read_text()
    assert "none of which had seen it" in page
    assert "distances there are in % of the size of the landmarks' box" in page
    assert not (out / "relabelled").exists()
    found = {path.name for path in out.iterdir()} - {"review.html"}
    assert found == {"landmarks.csv", "samples.csv", "audit.html"}


def test_finished_folds_are_not_repeated(folded, capsys):
    before = (folded.folder / "out/landmarks.csv").read_text()
    folded.audit("--precision", 0.8)
    assert len(folded.commands) == 2
    assert (folded.folder / "out/landmarks.csv").read_text() == before
    assert f"of {BODIES} samples are suspects" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="begun with another folds"):
        folded.audit("--folds", 4)


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "give a checkpoint, or --folds"),
        (["epoch_1.pth", "--folds", "5"], "give a checkpoint, or --folds"),
        (["epoch_1.pth", "--views", "0"], "--views is 0"),
        (["epoch_1.pth", "--gap", "0"], "--gap is 0"),
        (["epoch_1.pth", "--precision", "1.5"], "--precision is 1.5"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        audit_annotations.main(["config.py", *options])
    assert message in capsys.readouterr().err
