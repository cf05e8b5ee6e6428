"""tools/analysis/plot_training.py on logs as MMEngine writes them."""

import json

import numpy as np
import pytest

from tools.analysis import plot_training

LOG = [
    dict(loss=4.0, time=1.0, epoch=1, iter=1, step=1),
    dict(loss=2.0, time=1.0, epoch=1, iter=2, step=2),
    {"NME/inter_ocular": 0.5, "time": 9.0, "step": 1},
    dict(loss=1.0, latent_move=0.1, epoch=2, iter=3, step=3),
]


def write_log(folder, lines=LOG):
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "scalars.json").write_text(text)
    return folder / "scalars.json"


def test_training_is_averaged_over_epochs_and_measures_are_as_they_are(tmp_path):
    write_log(tmp_path / "run/1/vis_data")
    write_log(tmp_path / "run/2/vis_data", [dict(loss=0.5, epoch=3, iter=4, step=4)])
    run, unit = plot_training.read_run(tmp_path / "run")
    assert unit == "epoch"
    np.testing.assert_array_equal(run["loss"], [(1, 3), (2, 1), (3, 0.5)])
    np.testing.assert_array_equal(run["NME/inter_ocular"], [(1, 0.5)])
    np.testing.assert_array_equal(run["time"], [(1, 1)])
    assert set(run) == {"loss", "NME/inter_ocular", "time", "latent_move"}
    names = ["loss", "NME/inter_ocular", "latent_move"]
    assert plot_training.usual_names(run) == names


def test_without_epochs_iterations_count(tmp_path):
    lines = [dict(loss=4.0, iter=1, step=1), {"NME/x": 0.5, "step": 1}]
    run, unit = plot_training.read_run(write_log(tmp_path / "log", lines))
    assert unit == "iteration"
    np.testing.assert_array_equal(run["loss"], [(1, 4)])


def test_the_figure_of_several_runs(tmp_path, monkeypatch, capsys):
    log = write_log(tmp_path / "run/1/vis_data")
    drawn = []

    def draw(*given):
        drawn.append(given)

    monkeypatch.setattr(plot_training, "draw_training_curves", draw)
    out = str(tmp_path / "t.png")
    plot_training.main([str(log), str(tmp_path / "run"), "--start", "3", "--out", out])
    ((path, curves, names, start, unit),) = drawn
    assert path == out and list(curves) == ["scalars.json", "run"]
    assert names == ["loss", "NME/inter_ocular", "latent_move"] and start == 3
    assert unit == "epoch"
    assert f"wrote {out}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        (["{}/none"], r"none holds no \*/vis_data/scalars.json"),
        (["{}/run", "--names", "los"], "los is in none of the logs; they have NME"),
        (["{}/run", "{}/run"], "two runs are called run"),
        (["{}/run/1/bad/scalars.json"], "scalars.json, line 2: .*one JSON object"),
    ],
)
def test_what_cannot_be_drawn_is_named(tmp_path, options, message):
    write_log(tmp_path / "run/1/vis_data")
    bad = write_log(tmp_path / "run/1/bad")
    bad.write_text("{}\nno json\n")
    with pytest.raises(SystemExit, match=message):
        plot_training.main([option.format(tmp_path) for option in options])
