"""Every benchmark prints its table, at the least size."""

import sys
from contextlib import redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from benchmarks import (
    consensus_scale,
    ghcu_latency,
    retrieval_scale,
    search_speed,
    store_scale,
    timing,
    video_mixing,
    video_reading,
)
from benchmarks.timing import in_turn

SMALL = dict(
    type="HourglassNet",
    downsample_times=1,
    stage_channels=(256, 8),
    stage_blocks=(1, 1),
    feat_channel=256,
)


def call(benchmark, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    benchmark.main()


def test_calls_are_timed_by_turns():
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "ab"}
    times = in_turn(calls, 2, warm_up=1)
    assert "".join(called) == "ba" + "ab" + "ba"
    assert [len(taken) for taken in times.values()] == [2, 2]


@pytest.mark.parametrize(
    ("benchmark", "sizes"),
    [(consensus_scale, ("20x68", "30x5")), (retrieval_scale, ("20x8/5", "30x8/3"))],
)
def test_costs_of_sizes(benchmark, sizes, capsys, monkeypatch):
    def in_this_process(command, **_):
        with redirect_stdout(StringIO()) as printed:
            benchmark.main(command[3:])
        return SimpleNamespace(stdout=printed.getvalue())

    monkeypatch.setattr(timing.subprocess, "run", in_this_process)
    benchmark.main(["--of", sizes[0]])
    seconds, memory = map(float, capsys.readouterr().out.split())
    assert seconds > 0 and memory > -1  # pages are counted late
    benchmark.main(["--sizes", sizes[1]])
    assert f"{sizes[1]} " in capsys.readouterr().out


def test_ghcu_latency(monkeypatch, capsys):
    monkeypatch.setattr(ghcu_latency, "BACKBONE", SMALL)
    sizes = ("--batch-sizes", "1", "--heatmap-sizes", "64", "--repeats", "1")
    call(ghcu_latency, monkeypatch, *sizes)
    assert "\n    1   64 x 64 " in capsys.readouterr().out


def test_search_speed(monkeypatch, capsys):
    # The first table takes seconds at any options.
    monkeypatch.setattr(search_speed, "search_table", lambda args: None)
    resnet = search_speed.DETECTORS["ResNet-50"]
    small = dict(
        resnet, backbone=dict(type="ResNet", depth=18), head=dict(in_channels=512)
    )
    monkeypatch.setitem(search_speed.DETECTORS, "ResNet-50", small)
    sizes = ("--repeats", "1", "--batch-size", "1", "--threads", "1", "--cpu-time")
    call(search_speed, monkeypatch, *sizes)
    shown = capsys.readouterr().out
    assert "256 cells, sigma 6" in shown and "3. Training iteration, small" in shown
    assert shown.count("\nnot searching") == shown.count("\nsearching") == 2


def test_pair_loss(monkeypatch, capsys):
    pytest.importorskip("pytorch_metric_learning")
    from benchmarks import pair_loss

    monkeypatch.setattr(pair_loss, "memory_table", lambda args: None)
    sizes = ("--batch-sizes", "16", "--channels", "8", "--repeats", "1")
    call(pair_loss, monkeypatch, *sizes, "--threads", "1")
    shown = capsys.readouterr().out
    assert "1 threads, 1 rounds" in shown and shown.count("(100%)") == 1
    for state in pair_loss.STATES:
        assert f"\n{state} (" in shown
        # What is timed as autograd's is the same loss.
        data = pair_loss.batch(40, 16, state)
        found, expected = (
            pair_loss.make(name)(*data) for name in (pair_loss.OURS, pair_loss.EAGER)
        )
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_video_reading(monkeypatch, capsys):
    codecs = dict(list(video_reading.CODECS.items())[:1])
    monkeypatch.setattr(video_reading, "CODECS", codecs)
    sizes = ("--parts", "1", "2", "3", "--frames", "4", "--size", "160", "96")
    call(video_reading, monkeypatch, *sizes, "--repeats", "1", "--stride", "2")
    shown = capsys.readouterr().out
    assert "MJPEG          this package    0/4 " in shown and "of PyAV" in shown
    assert "parts=2  JPEGs" in shown and shown.splitlines()[-1].startswith("MJPEG ")


def test_video_mixing(monkeypatch, capsys):
    sizes = ("--videos", "20", "--frames", "120", "--key-frames", "1", "60")
    call(video_mixing, monkeypatch, *sizes)
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) == 8 and rows[0].startswith("1: stride=6, DefaultSampler")
    # Whole stretches of 60 frames: the batches before have neighbours of all.
    assert rows[6].startswith("60: parts=6, max_open=16") and "1.00, 1.00" in rows[6]


def test_store_scale(monkeypatch, capsys):
    call(store_scale, monkeypatch, "--sizes", "60x5", "50x4")
    shown = capsys.readouterr().out
    assert "60x5          50x4" in shown and "checkpoint, bytes a landmark" in shown


def test_memory_stays_flat_over_epochs_with_persistent_workers():
    """What an epoch finds is 2.3 MB here; none of it may stay."""
    maker = store_scale.TargetMaker()
    memory = store_scale.soak(400, 480, epochs=4, workers=1, maker=maker)
    for after_two, at_the_end in zip(memory[1], memory[-1]):
        assert at_the_end - after_two < 3
