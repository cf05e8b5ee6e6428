"""tools/analysis/benchmark_table.py on files that the metrics have written."""

import csv
import io
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from semamb_mm.pose.metrics import FaceNME, FaceVideoNME
from tests import ROOT
from tests.pose.metrics.test_face_nme import GROUPS_300W, make_face, make_sample
from tests.pose.metrics.test_face_video_nme import make_frame
from tools.analysis import benchmark_table

TOOL = ROOT / "tools/analysis/benchmark_table.py"
PATHS = dict(common="helen/testset/{}.jpg", challenge="ibug/{}.jpg")


def write(metric, samples, dataset):
    metric.dataset_meta = dict(dataset_name=dataset)
    metric.process(None, samples)
    metrics = metric.evaluate(len(samples))
    return f"{metric.outfile_prefix}.json", metrics


def write_300w(prefix, pixels, counts=(554, 135), **options):
    """Errors of so many pixels in common and challenge; the inter-pupil norm is 80."""
    face = make_face()
    samples = [
        make_sample(face + [error, 0], face, name=PATHS[group].format(i))
        for group, error, count in zip(PATHS, pixels, counts)
        for i in range(count)
    ]
    options = dict(dict(include_hidden=True, groups=GROUPS_300W), **options)
    return write(FaceNME(outfile_prefix=str(prefix), **options), samples, "300w")[0]


def write_300vw(prefix, pixels, step=1):
    face = make_face()
    samples = [
        make_frame(face + [error, 0], face, f"{category}-{video}", number, category)
        for (category, count), error in zip(VIDEOS.items(), pixels)
        for video in range(count)
        for number in (1, 1 + step)
    ]
    metric = FaceVideoNME(outfile_prefix=str(prefix), include_hidden=True)
    return write(metric, samples, "300vw")[0]


VIDEOS = dict(category1=31, category2=19, category3=14)


def write_aflw(prefix, pixels, count=4386, **options):
    face = make_face()[:19]
    # the box of the landmarks is another
    sample = make_sample(face + [pixels, 0], face, box=(0, 0, 200, 200))
    options = dict(dict(norms="bbox_size", box="annotation"), **options)
    metric = FaceNME(outfile_prefix=str(prefix), **options)
    return write(metric, [sample] * count, "aflw")[0]


@pytest.fixture
def table(capsys):
    """``table(*arguments)``: the printed rows, header first, and the notes."""

    def run(*arguments):
        benchmark_table.main([str(a) for a in arguments])
        lines = capsys.readouterr().out.splitlines()
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines
            if line.startswith("|") and not line.startswith("|---")
        ]
        return rows, [line[2:] for line in lines if line.startswith("- ")]

    return run


def test_the_three_benchmarks(table, tmp_path):
    rows, notes = table(
        f"HGs={write_300w(tmp_path / 'a', (4, 8))}",
        f"HGs={write_300vw(tmp_path / 'b', (2, 4, 6))}",
        f"HGs + SA={write_aflw(tmp_path / 'c', 5)}",
        f"HGs + SA={write_300w(tmp_path / 'd', (2, 4))}",
    )
    full = (554 * 5 + 135 * 10) / 689
    assert rows == [
        [
            "method",
            *("300W common", "300W challenge", "300W full"),
            *("300-VW category 1", "300-VW category 2", "300-VW category 3"),
            "AFLW-Full",
        ],
        ["HGs", "5.00", "10.00", f"{full:.2f}", "2.50", "5.00", "7.50", "–"],
        ["HGs + SA", "2.50", "5.00", f"{full / 2:.2f}", "–", "–", "–", "2.50"],
    ]
    assert notes == [
        "NME, %: 300W and 300-VW by inter-pupil distance, AFLW-Full by face box size."
    ]


def test_another_norm_and_figure(table, tmp_path):
    path = write_300w(tmp_path / "a", (4, 8))
    rows, notes = table(f"HGs={path}", "--norm", "inter_ocular")
    assert rows[1][1:3] == ["4.00", "8.00"] and "outer eye corners" in notes[0]
    rows, notes = table(f"HGs={path}", "--figure", "FR@0.08")
    assert rows[1][1:3] == ["0.00", "100.00"] and notes[0].startswith("FR@0.08, %")


def test_runs_of_a_name(table, tmp_path):
    pixels = (4.0, 4.4, 5.2)
    paths = [write_300w(tmp_path / str(i), (p, 8)) for i, p in enumerate(pixels)]
    single = write_300w(tmp_path / "single", (4, 8))
    rows, notes = table(*(f"HGs={p}" for p in paths), f"other={single}")
    errors = [p / 0.8 for p in pixels]
    mean, spread = statistics.mean(errors), statistics.stdev(errors)
    assert rows[1][1:3] == [f"{mean:.2f} ± {spread:.2f}", "10.00 ± 0.00"]
    assert rows[2][1] == "5.00"
    assert "HGs: mean ± sample standard deviation over runs: 300W common 3" in notes[1]


def test_csv(tmp_path, capsys):
    arguments = [f"HGs={write_300w(tmp_path / str(p), (p, 8))}" for p in (4, 6)]
    done = subprocess.run(
        [sys.executable, TOOL, *arguments, "--paper", "--format", "csv"],
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["HGs"]["300W common"] == "6.2500"
    assert float(rows["HGs"]["300W common std"]) == pytest.approx(
        2.5 / 2**0.5, abs=1e-4
    )
    assert rows["HGs"]["300W common runs"] == "2"
    assert rows["HGs + SA (paper)"]["300W full"] == "4.3700"
    assert rows["HGs + SA (paper)"]["300W full std"] == ""
    assert "not measured here" in done.stderr


def test_the_papers_rows_are_marked(table, tmp_path):
    path = write_300w(tmp_path / "a", (4, 8))
    rows, notes = table(f"HGs={path}", "--paper")
    theirs = {row[0]: row[1:] for row in rows[1:-1]}
    assert all(name.endswith(" (paper)") for name in theirs) and rows[-1][0] == "HGs"
    assert theirs["HGs (paper)"] == ["4.43", "7.56", "5.04"]
    assert theirs["HGs + SA + Norm + GHCU (paper)"] == ["3.45", "6.38", "4.02"]
    assert "DSRN (paper)" not in theirs  # nothing on 300W
    assert "Liu et al., CVPR 2019" in notes[1] and "not measured here" in notes[1]

    box = write_aflw(tmp_path / "b", 5)
    videos = write_300vw(tmp_path / "c", (2, 4, 6))
    rows, _ = table(f"ours={box}", f"ours={videos}", "--paper")
    theirs = {row[0]: row[1:] for row in rows}
    assert theirs["HGs + SA (paper)"] == ["–", "–", "–", "1.62"]
    assert theirs["DSRN (paper)"][-1] == "1.86" and "HGs + Norm (paper)" not in theirs


def test_notes_on_what_is_not_the_protocol(table, tmp_path):
    bad = make_sample(make_face(), make_face() * 0, name="ibug/bad.jpg")
    small = write_300w(tmp_path / "a", (4, 8), counts=(3, 135), include_hidden=False)
    _, (_, note) = table(f"HGs={small}")
    assert "3 faces of 300W common, which has 554" in note
    assert "include_hidden=False" in note and "challenge" not in note
    strided = write_300vw(tmp_path / "b", (2, 4, 6), step=3)
    _, (_, note) = table(f"HGs={strided}")
    assert "one frame in 3" in note and "videos" not in note
    _, (_, note) = table(f"HGs={write_aflw(tmp_path / 'c', 5, count=2)}")
    assert "2 faces of AFLW-Full, which has 4386" in note

    metric = FaceNME(
        outfile_prefix=str(tmp_path / "d"),
        groups=GROUPS_300W,
        include_hidden=True,
        on_invalid="skip",
    )
    good = make_sample(make_face(), make_face(), name="ibug/good.jpg")
    path, _ = write(metric, [good, bad], "300w")
    rows, (_, note) = table(f"HGs={path}")
    assert "1 faces left out" in note and "0 faces of 300W common" in note
    # without the common part, all faces are not the full set
    assert rows == [["method", "300W challenge"], ["HGs", "0.00"]]


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(groups=None), r"has the groups \[\]; expected of 300W .*common"),
        (dict(subset=(1, 2)), "only a subset"),
        (dict(norms="inter_ocular"), r"has no 'common/NME/inter_pupil'; it has"),
    ],
)
def test_evaluations_of_300w_that_do_not_fit(table, tmp_path, options, message):
    path = write_300w(tmp_path / "a", (4, 8), counts=(2, 1), **options)
    with pytest.raises(SystemExit, match=rf"{re.escape(path)}: .*{message}"):
        table(f"HGs={path}")


def test_files_that_do_not_fit(table, tmp_path, capsys):
    box = write_aflw(tmp_path / "a", 5, count=1, box="landmarks")
    with pytest.raises(SystemExit, match="a.json: .*box='annotation'"):
        table(f"HGs={box}")
    good = Path(write_300w(tmp_path / "b", (4, 8), counts=(1, 1)))
    content = json.loads(good.read_text())
    other = tmp_path / "other.json"
    for text, message in (
        ("{", "cannot be read as json"),
        ("{}", "not a file of FaceNME"),
        (json.dumps(dict(content, dataset="wflw")), "'wflw'; expected one of.*300w"),
    ):
        other.write_text(text)
        with pytest.raises(SystemExit, match=f"other.json: .*{message}"):
            table(f"HGs={other}")
    with pytest.raises(SystemExit, match="none.json: cannot be read"):
        table(f"HGs={tmp_path / 'none.json'}")
    for arguments, message in (
        ([str(good)], "expected NAME=PATH"),
        ([f"HGs={good}", f"SA={good}"], "named twice"),
        ([f"HGs={good}", "--paper", "--norm", "inter_ocular"], "--paper"),
    ):
        with pytest.raises(SystemExit):
            table(*arguments)
        assert message in capsys.readouterr().err
