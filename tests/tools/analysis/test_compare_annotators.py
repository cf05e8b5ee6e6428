"""The comparison of annotators, as a command."""

import csv
import json

import cv2
import numpy as np
import pytest

from tests.trees.annotators import coco, marks, write_coco, write_pts_folders
from tools.analysis.compare_annotators import main, shown

NAMES = ["anna", "ben", "net"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Files of two people and a network; the first two pictures are equal."""
    folder = tmp_path_factory.mktemp("people")
    points = marks(NAMES, samples=12)
    files = write_coco(folder, points, NAMES, [(0, 3, 1)])
    images = folder / "images"
    (images / "001.png").write_bytes((images / "000.png").read_bytes())
    return folder, files, points


def run(tmp_path, *arguments):
    """Run the tool; return the summary."""
    options = ["--out-dir", tmp_path / "out", "--resamples", 3]
    main(list(map(str, [*arguments, *options])))
    return (tmp_path / "out/summary.md").read_text()


def test_people_and_a_network(tree, tmp_path, capsys):
    """All that is promised is written."""
    folder, files, _ = tree
    people = [f"{name}={files[name]}" for name in NAMES[:2]]
    arguments = ["--coco", *people, "--predictions", files["net"]]
    said = run(tmp_path, *arguments, "--images", folder / "images", "--curves", "0-2")
    assert said in capsys.readouterr().out
    assert "| anna | 59 |" in said and "| network | 60 |" in said
    assert "anna marked 5 landmarks of equal pictures twice" in said
    assert "The network is nearest to " in said and "not trained on" in said
    assert said.count("times the usual") == 12
    out = tmp_path / "out"
    found = {path.name for path in out.iterdir()}
    pairs = {
        f"bland_altman_{a}_{b}.png"
        for a, b in (("anna", "ben"), ("anna", "network"), ("ben", "network"))
    }
    tables = {"landmarks.csv", "pairs.csv", "pictures.csv", "summary.md"}
    assert found == pairs | tables | {"observers.png", "worst.jpg"}
    assert cv2.imread(str(out / "worst.jpg")).shape[1] == 4 * 420
    rows = list(csv.DictReader((out / "landmarks.csv").read_text().splitlines()))
    assert len(rows) == 15 and rows[0]["name"] == "tip"
    assert all(row["identified"] == "1" for row in rows)


def test_two_people_without_any_model(tree, tmp_path):
    """Folders of .pts files; and it is said what is not known."""
    _, _, points = tree
    folders = write_pts_folders(tmp_path, points, NAMES)
    people = [f"{name}={folders[name]}" for name in NAMES[:2]]
    said = run(tmp_path, "--pts", *people)
    assert "a third opinion is missing" in said
    assert "network" not in said.replace("such as a network's", "")
    assert not (tmp_path / "out/worst.jpg").exists()


def test_one_file(tree, tmp_path):
    """Two of whom copied each other, and a network."""
    _, _, points = tree
    path = tmp_path / "all.json"
    path.write_text(
        json.dumps(
            coco(np.concatenate([points, points[:1]]), ["anna", "ben", "network", "x"])
        )
    )
    said = run(tmp_path, "--json", path)
    assert "x and anna agree exactly in most landmarks" in said
    assert said.index("| x |") < said.index("| network |")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--coco", "anna"], "'anna': expected NAME=PATH"),
        (["--coco", "a=x.json", "a=y.json"], "two annotators have the same name"),
        (["--coco", "a=missing.json", "b=missing.json"], "missing.json"),
        (["--json", "x.json", "--predictions", "y.json"], "2"),
        (["--pts", "a=x", "--curves", "3"], "--curves '3': expected FIRST-LAST"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_a_figure_without_an_interval_is_shown_as_that():
    assert shown([0.1, 0.05, 0.2]) == "10.00 (5.00 to 20.00)"
    without = shown([0.1, np.nan, np.nan])
    assert without == "10.00 (too few pictures)"
