import csv
import json

import cv2
import numpy as np
import pytest
from mmengine.hooks import CheckpointHook
from mmpose.evaluation.metrics import NME
from mmpose.registry import METRICS

from semamb_mm.faces.sizes import face_norms
from semamb_mm.pose.metrics import FaceNME
from tests.faces import make_face

# What outfile_prefix is continued with.
FILES = {".json", "_ced.csv", "_ced.png", "_faces.csv", "_landmarks.csv"}
ALL_NORMS = ("inter_pupil", "inter_ocular", "bbox_size", "bbox_diagonal")
SPANS = dict(
    contour=slice(0, 17),
    brows=slice(17, 27),
    nose=slice(27, 36),
    eyes=slice(36, 48),
    mouth=slice(48, 68),
)


def make_sample(predicted, truth, visible=None, box=(0, 0, 10, 10), name="face.png"):
    """One face as an evaluator gets it."""
    if visible is None:
        visible = np.ones(len(truth))
    return dict(
        img_path=name,
        id=0,
        gt_instances=dict(
            keypoints=np.asarray(truth, np.float32)[None],
            keypoints_visible=np.asarray(visible, np.float32)[None],
            bboxes=np.asarray(box, np.float32)[None],
        ),
        pred_instances=dict(keypoints=np.asarray(predicted, np.float32)[None]),
    )


def random_samples(num_faces, seed=0, noise=5.0):
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(num_faces):
        truth = make_face(rng.uniform(0.5, 2)) + rng.normal(0, 2, (68, 2))
        predicted = truth + rng.normal(0, noise * rng.uniform(0.2, 2), (68, 2))
        samples.append(make_sample(predicted, truth, name=f"{i}.png"))
    return samples


def evaluate(samples, **options):
    metric = FaceNME(**options)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_built_from_the_registry():
    assert isinstance(METRICS.build(dict(type="FaceNME")), FaceNME)


@pytest.mark.parametrize("norm", ALL_NORMS)
def test_figures_by_hand(norm, log):
    truth = make_face()
    size = face_norms(truth[None], norm)[0]
    pixels = dict(contour=2, brows=4, nose=8, eyes=1, mouth=16)
    predicted = truth.copy()
    for region, error in pixels.items():
        predicted[SPANS[region], 0] += error
    mean = (17 * 2 + 10 * 4 + 9 * 8 + 12 * 1 + 20 * 16) / 68
    # the second face is half as large and has no errors
    samples = [make_sample(predicted, truth), make_sample(truth / 2, truth / 2)]
    metrics = evaluate(
        samples, norms=(norm,), failure_thresholds=(0.01, 0.5), auc_threshold=0.3
    )
    expected = {
        f"NME/{norm}": mean / size / 2,
        **{
            f"NME/{norm}/{region}": error / size / 2 for region, error in pixels.items()
        },
        f"FR@0.01/{norm}": 0.5,
        f"FR@0.5/{norm}": 0,
        f"AUC@0.3/{norm}": (1 + 1 - mean / size / 0.3) / 2,
        "num_skipped": 0,
    }
    assert metrics == pytest.approx(expected, rel=1e-5)
    assert list(metrics) == list(expected)
    assert all(type(value) is float for value in metrics.values())
    (level, table), *_ = log
    assert level == "INFO" and "2 faces, in percent" in table
    assert f"{100 * mean / size / 2:.2f}" in table and "mouth" in table


def test_defaults_name_two_norms():
    metrics = evaluate(random_samples(3))
    assert next(iter(metrics)) == "NME/inter_pupil"
    regions = tuple(SPANS)
    for norm in ("inter_pupil", "inter_ocular"):
        for key in ("NME", "FR@0.08", "FR@0.1", "AUC@0.08"):
            assert f"{key}/{norm}" in metrics
        assert all(f"NME/{norm}/{region}" in metrics for region in regions)
    ratio = metrics["NME/inter_pupil"] / metrics["NME/inter_ocular"]
    assert ratio == pytest.approx(100 / 80, rel=0.1)


def test_invisible_landmarks_do_not_count():
    truth = make_face()
    predicted = truth + [3, 4]
    visible = np.ones(68)
    visible[[0, 20, 60]] = 0
    truth[0], predicted[20], predicted[60] = np.nan, 1e6, np.nan
    sample = make_sample(predicted, truth, visible)
    metrics = evaluate([sample], norms=("inter_ocular",))
    assert metrics["NME/inter_ocular"] == pytest.approx(5 / 100)
    assert metrics["NME/inter_ocular/brows"] == pytest.approx(5 / 100)
    assert metrics["num_skipped"] == 0
    # MMPose's two-column visibility means the same
    seen = sample["gt_instances"]["keypoints_visible"]
    sample["gt_instances"]["keypoints_visible"] = np.stack([seen, seen * 0.5], -1)
    assert evaluate([sample], norms=("inter_ocular",)) == metrics


def test_faces_weigh_the_same_and_regions_nobody_shows_are_left_out():
    truth = make_face()
    few = np.zeros(68)
    few[36:48] = 1
    samples = [
        make_sample(truth + [10, 0], truth),
        make_sample(truth + [20, 0], truth, few),
    ]
    metrics = evaluate(samples, norms=("inter_ocular",))
    assert metrics["NME/inter_ocular"] == pytest.approx(0.15)
    assert metrics["NME/inter_ocular/mouth"] == pytest.approx(0.1)
    metrics = evaluate(samples[1:], norms=("inter_ocular",))
    assert "NME/inter_ocular/mouth" not in metrics


@pytest.mark.parametrize("box, size", [("landmarks", 150), ("annotation", 50)])
def test_either_box(box, size):
    truth = make_face()
    sample = make_sample(truth + [3, 4], truth, box=(10, 10, 40, 50))
    metrics = evaluate([sample], norms="bbox_diagonal", box=box)
    assert metrics["NME/bbox_diagonal"] == pytest.approx(5 / size)


def test_agrees_with_mmpose_where_both_exist():
    samples = random_samples(6)
    for sample in samples:
        sample["gt_instances"]["bboxes"] = np.array([[3, 5, 83, 85]], np.float32)
        sample["gt_instances"]["head"] = np.full(
            (1, 1), face_norms(sample["gt_instances"]["keypoints"], "inter_pupil")
        )
    ours = evaluate(samples, norms=ALL_NORMS, box="annotation")
    for norm, options in dict(
        inter_ocular=dict(norm_mode="keypoint_distance", keypoint_indices=[36, 45]),
        inter_pupil=dict(norm_mode="use_norm_item", norm_item="head"),
        # a square box: MMPose's bbox_size is the longer side
        bbox_size=dict(norm_mode="use_norm_item", norm_item="bbox_size"),
    ).items():
        stock = NME(**options)
        names = {i: f"landmark {i}" for i in range(68)}
        stock.dataset_meta = dict(dataset_name="300w", keypoint_id2name=names)
        stock.process(None, samples)
        theirs = stock.evaluate(len(samples))["NME"]
        assert ours[f"NME/{norm}"] == pytest.approx(theirs, rel=1e-5)


def test_order_and_padding_of_distributed_evaluation_do_not_matter():
    samples = random_samples(7)
    samples[3]["pred_instances"]["keypoints"][:] = np.nan
    expected = evaluate(samples, norms=ALL_NORMS, on_invalid="skip")
    assert expected["num_skipped"] == 1
    shuffled = [samples[i] for i in (4, 2, 6, 0, 1, 3, 5)]
    assert evaluate(shuffled, norms=ALL_NORMS, on_invalid="skip") == pytest.approx(
        expected
    )
    # two ranks: the sampler pads 7 faces to 8, MMEngine interleaves and cuts at 7
    ranks = [FaceNME(norms=ALL_NORMS, on_invalid="skip") for _ in range(2)]
    for rank, metric in enumerate(ranks):
        metric.process(None, [*samples, samples[0]][rank::2])
    merged = FaceNME(norms=ALL_NORMS, on_invalid="skip")
    merged.results = [
        result for pair in zip(*(m.results for m in ranks)) for result in pair
    ]
    assert len(merged.results) == 8
    assert merged.evaluate(7) == pytest.approx(expected)


def test_tensors_and_metainfo_of_another_markup():
    torch = pytest.importorskip("torch")
    truth = np.array([[0, 0], [0, 10], [10, 0], [10, 10.0]])
    sample = make_sample(truth + [0, 1], truth)
    for group in ("gt_instances", "pred_instances"):
        sample[group] = {k: torch.from_numpy(v) for k, v in sample[group].items()}
    metrics = evaluate(
        [sample],
        norms=("inter_ocular", "inter_pupil", "bbox_size"),
        eye_indices=dict(inter_ocular=(0, 2), inter_pupil=((0, 1), (2, 3))),
        regions=dict(top=(0, 2)),
    )
    assert metrics["NME/bbox_size/top"] == pytest.approx(0.1)
    assert metrics["NME/inter_ocular"] == pytest.approx(0.1)
    # without regions of its own
    assert list(evaluate([sample], norms="bbox_size"))[:2] == [
        "NME/bbox_size",
        "FR@0.08/bbox_size",
    ]


def test_subset_of_landmarks_keeps_the_norm_of_the_face(log):
    truth = make_face()
    predicted = truth.copy()
    predicted[:10] += [10, 0]
    samples = [make_sample(predicted, truth), make_sample(truth, truth, name="b.png")]
    metrics = evaluate(samples[:1], norms="inter_ocular", subset=range(5, 15))
    assert metrics["NME/inter_ocular"] == pytest.approx(0.05)
    assert "NME/inter_ocular/eyes" not in metrics

    hidden = np.zeros((1, 68), bool)
    samples[1]["gt_instances"]["occluded"] = hidden.copy()
    hidden[0, :4] = True
    samples[0]["gt_instances"]["occluded"] = hidden
    log.clear()
    metrics = evaluate(samples, norms="inter_ocular", subset="occluded")
    assert metrics["NME/inter_ocular"] == pytest.approx(0.1)
    assert metrics["num_skipped"] == 1
    (warning,) = [message for level, message in log if level == "WARNING"]
    assert "1 of 2 faces" in warning and "b.png" in warning
    with pytest.raises(KeyError, match="face.png: no gt_instances.hidden"):
        evaluate(samples, subset="hidden")


# bad input


def bad_faces():
    face = make_face()
    duplicate, one_nan, invisible = face.copy(), face.copy(), np.ones(68)
    duplicate[36:48] = 5
    one_nan[3] = np.nan
    invisible[45] = 0
    return {
        "inter_ocular is 0 px": make_sample(face, duplicate),
        "truth that is not finite": make_sample(face, one_nan),
        "prediction that is not finite": make_sample(one_nan, face),
        "needs is not visible": make_sample(face, face, invisible),
        "an infinite prediction": make_sample(np.where(face > 99, np.inf, face), face),
    }


@pytest.mark.parametrize("case", bad_faces())
def test_a_face_that_cannot_be_measured(case, log):
    bad = bad_faces()[case]
    bad["img_path"] = "folder/bad.png"
    good = random_samples(2)
    norms = ("inter_ocular", "bbox_size")
    with pytest.raises(ValueError, match="folder/bad.png: .*(px|visible|finite).*skip"):
        evaluate([good[0], bad, good[1]], norms=norms)
    metrics = evaluate([good[0], bad, good[1]], norms=norms, on_invalid="skip")
    assert metrics.pop("num_skipped") == 1
    expected = evaluate(good, norms=norms)
    assert metrics == {key: expected[key] for key in metrics}
    assert np.isfinite(list(metrics.values())).all()
    (warning,) = [message for level, message in log if level == "WARNING"]
    assert "1 of 3 faces" in warning and "folder/bad.png" in warning
    with pytest.raises(ValueError, match="none of 2 faces could be measured"):
        evaluate([bad, bad], norms=norms, on_invalid="skip")


def test_many_skipped_faces_give_one_short_warning(log):
    faces = []
    for i in range(30):
        faces.append(make_sample(make_face(), make_face(), np.zeros(68), name=f"f{i}"))
    metrics = evaluate([*faces, *random_samples(1)])  # nothing visible: no error
    assert metrics["num_skipped"] == 30
    (warning,) = [message for level, message in log if level == "WARNING"]
    assert "30 of 31" in warning and "f0, f1" in warning and "and 20 more" in warning
    with pytest.raises(ValueError, match="none of 30.*no landmark.*visible"):
        evaluate(faces)


def test_samples_that_do_not_fit():
    face = make_face()
    with pytest.raises(ValueError, match=r"face.png: .*\(1, 67, 2\).*\(1, 68, 2\)"):
        evaluate([make_sample(face[:67], face)])
    with pytest.raises(ValueError, match=r"of one mark-up.*\[60, 68\]"):
        evaluate(
            [make_sample(face, face), make_sample(face[:60], face[:60])],
            norms="bbox_size",
            regions={},
        )
    with pytest.raises(ValueError, match=r"19 landmarks.*eye_indices=dict\(inter_oc"):
        evaluate([make_sample(face[:19], face[:19])], norms="inter_ocular")
    sample = make_sample(face, face)
    del sample["gt_instances"]["bboxes"]
    with pytest.raises(KeyError, match="face.png: no gt_instances.bboxes"):
        evaluate([sample], norms="bbox_size", box="annotation")
    with pytest.raises(ValueError, match="got 0 samples"):
        FaceNME().compute_metrics([])


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(regions=dict(chin=(3, 68))), r"regions\['chin'\].*68.*0 to 67"),
        (dict(regions=dict(chin=(-1,))), r"regions\['chin'\].*-1.*0 to 67"),
        (dict(regions=dict(chin=(3, 3))), r"regions\['chin'\].*each landmark once"),
        (dict(regions=dict(chin=())), r"regions\['chin'\].*each landmark once"),
        (dict(subset=(70,)), "subset names landmark 70.*0 to 67"),
        (
            dict(norms="inter_pupil", eye_indices=dict(inter_pupil=((0, 1), (97,)))),
            r"eye_indices\['inter_pupil'\] names landmark 97.*0 to 67",
        ),
    ],
)
def test_wrong_landmark_indices(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(random_samples(1), **options)


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(norms=()), "expected some of"),
        (dict(norms=("inter_occular",)), "inter_occular.*inter_ocular"),
        (dict(norms=("bbox_size", "bbox_size")), "twice"),
        (dict(box="tight"), "'tight'.*'landmarks'"),
        (dict(on_invalid="ignore"), "'ignore'.*'skip'"),
        (dict(failure_thresholds=(0.1, 0)), "positive"),
        (dict(auc_threshold=float("nan")), "positive"),
        (dict(eye_indices=dict(inter_ocular=(0, 1))), "no 'inter_pupil'"),
        (
            dict(norms="inter_ocular", eye_indices=dict(inter_ocular=(1, 2, 3))),
            "one eye and of the other",
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        FaceNME(**options)


# files


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_files(tmp_path):
    truth = make_face()
    visible = np.ones(68)
    visible[67] = 0
    samples = [
        make_sample(truth + [10, 0], truth, visible, name="a.png"),
        make_sample(truth, truth, visible, name="b,c.png"),
        make_sample(truth, truth, visible * 0, name="none.png"),
    ]
    prefix = tmp_path / "new" / "face"
    for _ in range(2):  # overwrites
        metrics = evaluate(samples, norms="inter_ocular", outfile_prefix=str(prefix))
    written = {path.name.removeprefix("face") for path in prefix.parent.iterdir()}
    assert written == FILES
    content = json.loads((prefix.parent / "face.json").read_text())
    assert content["metrics"] == metrics and content["num_faces"] == 2
    assert content["skipped"] == {"no landmark to measure is visible": ["none.png"]}
    faces = read_csv(f"{prefix}_faces.csv")
    assert [(f["face"], float(f["inter_ocular"])) for f in faces] == [
        ("a.png", pytest.approx(0.1)),
        ("b,c.png", 0),
    ]
    landmarks = read_csv(f"{prefix}_landmarks.csv")
    assert len(landmarks) == 68
    assert float(landmarks[5]["inter_ocular"]) == pytest.approx(0.05)
    assert landmarks[5]["num_faces"] == "2"
    assert landmarks[67] == dict(landmark="67", num_faces="0", inter_ocular="")
    curve = read_csv(f"{prefix}_ced.csv")
    assert [float(row["share_of_faces"]) for row in curve] == [0.5, 1]
    assert [float(row["inter_ocular"]) for row in curve] == [0, pytest.approx(0.1)]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    prefix = str(tmp_path / "face")
    evaluate(random_samples(2), outfile_prefix=prefix)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(json, "dump", lambda content, file, **_: file.write(1))
    with pytest.raises(TypeError):
        evaluate(random_samples(2), outfile_prefix=prefix)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# the framework around it


def test_best_checkpoint_by_a_key_with_slashes(make_runner, tmp_path):
    keys = ["val/NME/inter_ocular/contour", "val/AUC@0.08/inter_pupil"]
    runner = make_runner(
        val_evaluator=dict(type="FaceNME", prefix="val", _delete_=True),
        custom_hooks=[],
        default_hooks=dict(
            checkpoint=dict(
                save_best=keys,
                rule=["less", "greater"],
                save_optimizer=False,
                save_param_scheduler=False,
            )
        ),
    )
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    hook.before_train(runner)
    metrics = runner.val()  # calls the hook
    assert all(np.isfinite(metrics[key]) for key in keys)
    assert sorted(path.name for path in tmp_path.glob("best_*.pth")) == [
        "best_val_AUC@0.08_inter_pupil_epoch_0.pth",
        "best_val_NME_inter_ocular_contour_epoch_0.pth",
    ]


def test_mmengine_needs_to_be_told_the_rule():
    CheckpointHook(save_best="NME/inter_pupil", rule="less")
    with pytest.raises(ValueError, match="specific rule"):
        CheckpointHook(save_best="NME/inter_pupil")


# groups


GROUPS_300W = dict(
    common=r"(^|/)(helen|lfpw)/test(set)?/[^/]*$", challenge=r"(^|/)ibug/[^/]*$"
)
PATHS_300W = dict(
    common=["data/300w/images/helen/testset/1_1.jpg", "LFPW/test/image_0001.png"],
    challenge=["data\\300w\\ibug\\image_003_1.jpg", "/ibug/images/IBUG/x.jpg"],
)


def test_groups_by_path():
    samples = random_samples(4)
    paths = [path for group in PATHS_300W.values() for path in group]
    for sample, path in zip(samples, paths):
        sample["img_path"] = path
    metrics = evaluate(samples, groups=GROUPS_300W)
    everyone = evaluate(samples)
    assert {key: metrics[key] for key in everyone} == everyone
    for group, members in dict(common=samples[:2], challenge=samples[2:]).items():
        expected = evaluate(members)
        expected.pop("num_skipped")
        for key, value in expected.items():
            assert metrics[f"{group}/{key}"] == pytest.approx(value)
    assert len(metrics) == 3 * len(everyone) - 2


def test_groups_by_metainfo(log):
    samples = random_samples(5)
    for sample, light in zip(samples, ("dim", "bright", "dim", "", "dim")):
        sample["light"] = light
    samples[2]["pred_instances"]["keypoints"][:] = np.nan
    metrics = evaluate(samples, groups="light", on_invalid="skip")
    members = evaluate([samples[0], samples[4]])
    assert metrics["dim/NME/inter_pupil"] == pytest.approx(members["NME/inter_pupil"])
    assert metrics["num_skipped"] == 1
    table = next(message for level, message in log if "in percent" in message)
    assert "4 faces (bright 1, dim 2)" in table
    row = next(line for line in table.split("\n") if "inter_pupil, dim" in line)
    assert f"{100 * members['NME/inter_pupil']:.2f}" in row
    del samples[1]["light"]
    with pytest.raises(KeyError, match=r"1.png: no 'light'.*meta_keys=\(..., 'light'"):
        evaluate(samples, groups="light", on_invalid="skip")
    samples[1]["light"] = "half/dark"
    with pytest.raises(ValueError, match="1.png: metainfo 'light'.*'half/dark'"):
        evaluate(samples, groups="light", on_invalid="skip")


@pytest.mark.parametrize(
    "path, found", [("afw/1.jpg", "none"), ("ibug/helen/test/1.jpg", "common.*indoor")]
)
def test_a_path_that_fits_no_group_or_two(path, found):
    (sample,) = random_samples(1)
    sample["img_path"] = path
    with pytest.raises(ValueError, match=rf"{path} matches .*{found}.* just one"):
        evaluate([sample], groups=dict(GROUPS_300W, indoor="ibug/.*/"))


@pytest.mark.parametrize(
    "groups, message",
    [
        (dict(common="(helen"), "'common'.*not a regular expression"),
        ({"a/b": "x"}, "'a/b'.*without '/'"),
        (dict(all="x"), "'all'"),
    ],
)
def test_wrong_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        FaceNME(groups=groups)


def test_hidden_landmarks_count_if_asked_to():
    truth = make_face()
    predicted = truth.copy()
    predicted[45] += [0, 34]
    visible = np.ones(68)
    visible[[36, 45]] = 0
    truth[8] = np.nan  # no label at all
    visible[8] = 0
    sample = make_sample(predicted, truth, visible)
    with pytest.raises(ValueError, match="inter_ocular needs is not visible"):
        evaluate([sample], norms="inter_ocular")
    metrics = evaluate([sample], norms="inter_ocular", include_hidden=True)
    assert metrics["NME/inter_ocular"] == pytest.approx(34 / 67 / 100)


def test_picture_of_the_curves(tmp_path):
    samples = random_samples(6)
    for sample in samples:
        sample["light"] = "dim"
    pictures = {}
    for groups in (None, "light"):
        prefix = tmp_path / str(groups)
        evaluate(samples, outfile_prefix=str(prefix), groups=groups)
        pictures[groups] = cv2.imread(f"{prefix}_ced.png")
    assert pictures[None].shape[1] == 2 * 600 and pictures[None].std() > 10
    assert (pictures[None] != pictures["light"]).any()  # a second curve
