"""Checkpoints that cannot be read or are of another model, and devices."""

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from semamb_mm.checkpoints import check_device, check_fit, read_checkpoint


@pytest.fixture
def warnings(monkeypatch):
    """What the log is warned of."""
    found = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "warning", found.append)
    return found


def model():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_checkpoint_or_a_bare_state_dict_is_read(tmp_path, wrapped, warnings):
    state = model().state_dict()
    path = tmp_path / "model.pth"
    torch.save(dict(state_dict=state, meta={}) if wrapped else state, path)
    content = read_checkpoint(path)
    new = model()
    check_fit(new, content, path)
    assert not warnings and torch.equal(new[0].weight, state["0.weight"])


@pytest.mark.parametrize("legacy", [True, False])
def test_both_of_torchs_formats_are_read(tmp_path, legacy):
    path = tmp_path / "model.pth"
    torch.save(model().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    assert set(read_checkpoint(path)) == set(model().state_dict())


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "does not exist"),
        (b"epoch: 3\nloss: 0.1\n", "is not a checkpoint: it begins with 'epoch: 3"),
        (b"", "is not a checkpoint"),
        (b"PK\x03\x04 cut short", "cannot be read as a checkpoint: "),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, said):
    path = tmp_path / "notes.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=said) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_saved_tensor_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "targets.pth")
    with pytest.raises(SystemExit, match="holds a Tensor, not a dict of weights"):
        read_checkpoint(tmp_path / "targets.pth")


def test_a_checkpoint_of_another_model_is_refused():
    other = dict(state_dict={"layer1.weight": torch.zeros(3)})
    with pytest.raises(SystemExit) as caught:
        check_fit(model(), other, "other.pth")
    assert "other.pth is of another model: it has none of the 4 parameters" in str(
        caught.value
    )
    assert "holds 1, such as layer1.weight" in str(caught.value)
    shapes = dict(state_dict={k: v[None] for k, v in model().state_dict().items()})
    with pytest.raises(SystemExit, match="none of the 4"):
        check_fit(model(), shapes, "other.pth")


def test_a_checkpoint_that_fits_in_part_is_counted_in_one_warning(warnings):
    state = model().state_dict()
    del state["1.bias"]
    state["0.weight"] = torch.zeros(5, 5)
    state["extra"] = torch.zeros(1)
    check_fit(model(), dict(state_dict=state), "part.pth")
    (text,) = warnings
    assert "2 of the model's 4 parameters stay as initialised (0.weight, ...)" in text
    assert "1 of the checkpoint's are left out (extra, ...)" in text


def test_what_a_module_renames_fits(warnings):
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}kernel")
            super()._load_from_state_dict(state_dict, prefix, *args)

    state = {"module.0.kernel": torch.ones(3, 2), "module.0.bias": torch.ones(3)}
    new = nn.Sequential(Renamed(2, 3))
    check_fit(new, dict(state_dict=state), "old.pth")
    assert not warnings and new[0].weight.eq(1).all()


@pytest.mark.parametrize(
    "name, said",
    [
        ("cuda", "PyTorch .* sees no CUDA GPUs here; without --device the CPU"),
        ("cuda:1", "PyTorch .* sees no CUDA GPUs here"),
        ("gpu", "expected cpu, cuda, cuda:1"),
        ("mps", "PyTorch sees no Apple GPU"),
    ],
)
def test_a_device_that_is_not_here(monkeypatch, name, said):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=f"--device {name}: {said}"):
        check_device(name)
    check_device("cpu")


def test_one_gpu_is_not_two(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda")
    check_device("cuda:0")
    with pytest.raises(SystemExit, match="sees 1 CUDA GPU here"):
        check_device("cuda:1")
