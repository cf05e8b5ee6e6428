import json
from collections import Counter

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS, METRICS

from semamb_mm.faces.sizes import face_norms
from semamb_mm.pose.metrics import FaceNME, FaceVideoNME
from tests.faces import make_face
from tests.trees.videos import extract, write_annotations

from .test_face_nme import FILES, make_sample, read_csv

META_KEYS = ("img_path", "sequence_id", "frame_number", "category")
JITTERS = ("jitter", "jitter_of_annotation", "jitter_of_error")


def make_frame(predicted, truth, sequence, number, category="", visible=None):
    sample = make_sample(predicted, truth, visible, name=f"{sequence}#{number}")
    return dict(sample, sequence_id=sequence, frame_number=number, category=category)


def random_video(sequence, numbers, category="", seed=0, noise=3.0):
    rng = np.random.default_rng([seed, *map(ord, sequence)])
    frames = []
    for number in numbers:
        truth = make_face(1 + 0.01 * number) + rng.normal(0, 1, (68, 2))
        predicted = truth + rng.normal(0, noise, (68, 2))
        visible = rng.random(68) > 0.1
        visible[36:48] = True
        frames.append(make_frame(predicted, truth, sequence, number, category, visible))
    return frames


def evaluate(samples, **options):
    metric = FaceVideoNME(**{"norms": ("inter_ocular", "inter_pupil"), **options})
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def loop_jitter(samples, norm, step, of):
    """The mean over middle frames, written as a plain loop."""
    frames = {(s["sequence_id"], s["frame_number"]): s for s in samples}
    values = []
    for (sequence, number), sample in frames.items():
        around = [frames.get((sequence, number + shift)) for shift in (-step, 0, step)]
        if None in around:
            continue
        lengths = []
        for k in range(68):
            seen = [s["gt_instances"]["keypoints_visible"][0, k] for s in around]
            if all(seen):
                tracks = dict(
                    jitter=[s["pred_instances"]["keypoints"][0, k] for s in around],
                    jitter_of_annotation=[
                        s["gt_instances"]["keypoints"][0, k] for s in around
                    ],
                )
                tracks["jitter_of_error"] = [
                    p - t
                    for p, t in zip(tracks["jitter"], tracks["jitter_of_annotation"])
                ]
                before, now, after = (point.astype(np.float64) for point in tracks[of])
                x, y = after - 2 * now + before
                lengths.append((x**2 + y**2) ** 0.5)
        truth = sample["gt_instances"]["keypoints"].astype(np.float64)
        values.append(sum(lengths) / len(lengths) / face_norms(truth, norm)[0])
    return sum(values) / len(values)


@pytest.mark.parametrize("step", [1, 3])
def test_figures_against_plain_loops(step):
    numbers = [1 + step * i for i in (0, 1, 2, 3, 6, 7, 8, 10, 12, 13)]  # with gaps
    samples = [
        *random_video("a", numbers, "category1"),
        *random_video("b", numbers[:4], "category2"),
        *random_video("c", numbers[:1], "category2"),
    ]
    metrics = evaluate(samples)
    for norm in ("inter_ocular", "inter_pupil"):
        for figure in JITTERS:
            for group, members in (("", samples), ("category1/", samples[:10])):
                assert metrics[f"{group}{figure}/{norm}"] == pytest.approx(
                    loop_jitter(members, norm, step, figure), rel=1e-5
                )
        assert metrics[f"jitter/{norm}"] > metrics[f"jitter_of_annotation/{norm}"]
    for group, members in (
        ("", samples),
        ("category1/", samples[:10]),
        ("category2/", samples[10:]),
    ):
        plain = FaceNME(norms=("inter_ocular", "inter_pupil"))
        plain.process(None, members)
        for key, value in plain.evaluate(len(members)).items():
            if key != "num_skipped":
                assert metrics[group + key] == pytest.approx(value), key
    assert list(metrics)[0] == "NME/inter_ocular"  # save_best='auto'


def test_a_constant_offset_has_no_jitter_of_its_own():
    frames = random_video("a", range(1, 6), noise=0)
    for frame in frames:
        frame["pred_instances"]["keypoints"] += 5
    metrics = evaluate(frames, groups=None)
    assert metrics["jitter_of_error/inter_pupil"] == pytest.approx(0, abs=1e-6)
    assert metrics["jitter/inter_pupil"] == pytest.approx(
        metrics["jitter_of_annotation/inter_pupil"], rel=1e-5
    )


def test_order_and_repeated_frames_do_not_matter():
    samples = random_video("b", range(1, 8), "x") + random_video("a", range(1, 6), "y")
    expected = evaluate(samples)
    shuffled = [samples[i] for i in np.random.default_rng(1).permutation(len(samples))]
    assert evaluate(shuffled) == pytest.approx(expected)
    # frames that a sampler repeated and nothing cut
    assert evaluate([*shuffled, *samples[3:9]]) == pytest.approx(expected)
    # two ranks: 12 frames in batches of 4, interleaved by MMEngine
    ranks = [FaceVideoNME(norms=("inter_ocular", "inter_pupil")) for _ in range(2)]
    for rank, metric in enumerate(ranks):
        metric.process(None, samples[rank::2])
    merged = FaceVideoNME(norms=("inter_ocular", "inter_pupil"))
    merged.results = ranks[0].results + ranks[1].results + ranks[0].results[:1]
    assert merged.evaluate(13) == pytest.approx(expected)


def test_a_frame_that_cannot_be_measured_interrupts():
    samples = random_video("a", range(1, 8))
    samples[3]["pred_instances"]["keypoints"][0, 5] = np.nan
    samples[3]["gt_instances"]["keypoints_visible"][:] = 1
    metrics = evaluate(samples, on_invalid="skip")
    assert metrics["num_skipped"] == 1
    kept = samples[:3] + samples[4:]
    assert metrics["jitter/inter_pupil"] == pytest.approx(
        loop_jitter(kept, "inter_pupil", 1, "jitter"), rel=1e-5
    )


def test_subset_is_also_that_of_the_jitter():
    samples = random_video("a", range(1, 5))
    for sample in samples:
        sample["pred_instances"]["keypoints"][0, :17] += 100 * (
            sample["frame_number"] % 2
        )
    inner = evaluate(samples, subset=range(17, 68))
    assert inner["jitter/inter_pupil"] < 1
    assert evaluate(samples, subset=range(17))["jitter/inter_pupil"] > 3


@pytest.mark.parametrize("frames", [[1], [1, 2], [1, 2, 4, 5]])
def test_without_three_consecutive_frames_there_is_no_jitter(frames, log):
    metrics = evaluate(random_video("a", frames) + random_video("b", [7]))
    assert not any("jitter" in key for key in metrics)
    assert metrics["NME/inter_pupil"] > 0
    warnings = [message for level, message in log if level == "WARNING"]
    assert len(warnings) == 1 and "no three consecutive frames" in warnings[0]


@pytest.mark.parametrize("key", ["sequence_id", "frame_number", "category"])
def test_metainfo_that_is_not_packed(key):
    (sample,) = random_video("a", [1], "category1")
    del sample[key]
    with pytest.raises(KeyError, match=rf"a#1: no '{key}'.*meta_keys=\(..., '{key}'"):
        evaluate([sample])


def test_faces_that_share_a_frame():
    first, second = random_video("a", [3]), random_video("a", [3], seed=1)
    with pytest.raises(ValueError, match="a#3 and a#3.*frame 3 of sequence 'a'"):
        evaluate(first + second)
    (sample,) = first
    for group in ("gt_instances", "pred_instances"):
        fields = sample[group]
        sample[group] = {key: np.repeat(v, 2, axis=0) for key, v in fields.items()}
    with pytest.raises(ValueError, match="a#3: 2 faces in a sample, expected one"):
        evaluate([sample])


def test_files(tmp_path):
    samples = [
        *random_video("114", range(1, 6), "category1"),
        *random_video("203", [1, 2], "category2"),
        *random_video("999", [1, 2, 3], ""),
    ]
    prefix = tmp_path / "run" / "vw"
    metrics = evaluate(samples, outfile_prefix=str(prefix))
    written = {path.name.removeprefix("vw") for path in prefix.parent.iterdir()}
    assert written == FILES | {"_sequences.csv"}
    content = json.loads((prefix.parent / "vw.json").read_text())
    assert content["metrics"] == metrics and content["frame_step"] == 1
    assert content["groups"] == dict(category1=5, category2=2)
    assert list(content["sequences"]) == ["114", "203", "999"]

    rows = {row["sequence"]: row for row in read_csv(f"{prefix}_sequences.csv")}
    assert [row["group"] for row in rows.values()] == ["category1", "category2", ""]
    assert [row["num_frames"] for row in rows.values()] == ["5", "2", "3"]
    for figure in ("NME", "FR@0.08", "AUC@0.08", *JITTERS):
        cell = rows["114"][f"{figure}/inter_pupil"]
        expected = metrics[f"category1/{figure}/inter_pupil"]
        assert float(cell) == pytest.approx(expected, abs=1e-6)
        assert content["sequences"]["114"][f"{figure}/inter_pupil"] == expected
    assert rows["203"]["jitter/inter_pupil"] == ""

    faces = read_csv(f"{prefix}_faces.csv")
    assert [f["sequence"] for f in faces] == ["114"] * 5 + ["203"] * 2 + ["999"] * 3
    around = [face["jitter/inter_ocular"] for face in faces]
    assert [bool(cell) for cell in around] == [0, 1, 1, 1, 0, 0, 0, 0, 1, 0]

    curve = read_csv(f"{prefix}_ced.csv")
    sizes = dict(all=10, category1=5, category2=2)
    assert Counter(row["group"] for row in curve) == sizes
    one = [float(r["inter_pupil"]) for r in curve if r["group"] == "category1"]
    assert one == sorted(float(f["inter_pupil"]) for f in faces[:5])


def test_through_the_evaluator_with_300vw(tmp_path, log):
    for video, num_frames in {"114": 6, "203": 4, "410": 9}.items():
        write_annotations(tmp_path / video / "annot", range(1, num_frames + 1))
        extract(tmp_path, video, range(1, num_frames + 1))
    keys = dict(type="PackPoseInputs", meta_keys=META_KEYS)
    pipeline = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="TopdownAffine", input_size=(32, 32)),
    ]
    dataset = dict(
        type="Face300VWFrameDataset",
        data_root=str(tmp_path),
        split="test",
        ids=["114", "203", "410"],
        test_mode=True,
        pipeline=[*pipeline, keys],
    )
    metric = dict(type="FaceVideoNME", norms=("inter_ocular",), include_hidden=True)

    def run(**changes):
        frames = DATASETS.build(dict(dataset, **changes))
        evaluator = Evaluator(METRICS.build(metric))
        evaluator.dataset_meta = frames.metainfo
        for index in range(len(frames)):
            sample = frames[index]["data_samples"]
            points = sample.gt_instances.keypoints.copy()
            # a shake of 2 px in category 2, and an offset in category 3
            category = sample.category
            points[..., 1] += 2 * (index % 2) * (category == "category2")
            points[..., 0] += 3 * (category == "category3")
            sample.pred_instances = InstanceData(keypoints=points)
            evaluator.process([sample])
        return evaluator.evaluate(len(frames)), frames[0]["data_samples"]

    metrics, sample = run()
    assert sample.sequence_id == "114"
    norm = face_norms(sample.gt_instances.keypoints, "inter_ocular")[0]
    expected = {
        "category1/NME": 0,
        "category2/NME": 2 * 2 / 4 / norm,
        "category3/NME": 3 / norm,
        "NME": (2 * 2 + 9 * 3) / 19 / norm,
        "category1/jitter": 0,
        "category2/jitter": 4 / norm,
        "category3/jitter_of_error": 0,
        "jitter": 2 * 4 / (4 + 2 + 7) / norm,
    }
    for key, value in expected.items():
        assert metrics[f"{key}/inter_ocular"] == pytest.approx(value, abs=1e-6), key
    table = next(message for _, message in log if "in percent" in message)
    assert "19 faces (category1 6, category2 4, category3 9)" in table
    assert "Sequences, by inter_ocular, frame_step 1" in table

    strided, _ = run(stride=2)
    assert strided["category3/jitter/inter_ocular"] == pytest.approx(0, abs=1e-6)
    assert "category2/jitter/inter_ocular" not in strided  # frames 1 and 3
    with pytest.raises(KeyError, match="000001.png: no 'sequence_id'.*meta_keys"):
        run(pipeline=[*pipeline, dict(keys, meta_keys=("img_path", "category"))])
