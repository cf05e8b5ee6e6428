"""The check of a GPU, on a machine that may have none."""

import pytest
import torch

from benchmarks import gpu_check
from benchmarks.search_speed import DETECTORS


@pytest.fixture
def small(monkeypatch):
    """The demo's hourglass in the large one's place, and no part that takes long."""
    monkeypatch.setattr(
        gpu_check, "hourglass_case", lambda: DETECTORS["small hourglass"]
    )
    monkeypatch.setattr(gpu_check, "check_compiled", lambda args: iter(()))
    options = "--device cpu --batch-size 2 --repeats 1 --no-demos --pairs 16"
    return options.split()


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert capsys.readouterr().out.startswith("No GPU: torch ")


def test_one_table(small, monkeypatch, capsys):
    precisions = dict(float32=None, bfloat16=torch.bfloat16)
    monkeypatch.setattr(gpu_check, "PRECISIONS", precisions)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert gpu_check.main(small) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert rows == [
        "iteration, float32, batch 2",
        "iteration, bfloat16, batch 2",
        *(f"waits for the device, {name}" for name in ("stock", "head", "search")),
        "pair loss, m = 16",
        "2 GPUs",
    ]
    assert lines[-1] == "| 2 GPUs | not here |"
    assert "0.000 of" not in lines[2] and "stock fails" in lines[3]


def test_what_fails_is_named_and_the_rest_goes_on(small, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("no kernel image\nis available")

    monkeypatch.setattr(gpu_check, "check_iterations", fail)
    monkeypatch.setattr(gpu_check, "check_two_gpus", fail)
    assert gpu_check.main(small) == 1
    text = capsys.readouterr().out
    assert "| iterations | FAILED: RuntimeError: no kernel image is available |" in text
    assert "| pair loss, m = 16 |" in text


def test_the_large_hourglass_is_the_configs():
    case = gpu_check.hourglass_case()
    assert case["backbone"]["num_stacks"] == case["head"]["num_stages"] == 4
    assert case["input_size"] == case["heatmap_size"] == (256, 256)


def test_a_command_that_fails_shows_its_last_lines():
    with pytest.raises(RuntimeError, match="gone wrong"):
        gpu_check.run(["bash", "-c", "echo gone wrong; exit 3"])
