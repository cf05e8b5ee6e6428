"""Safe loading of MMEngine's checkpoints, and its limits."""

import io
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

import semamb_mm
from semamb_mm import compat


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer


def test_history_buffers_and_numpy_load_safely():
    history = HistoryBuffer()
    for value in (1.0, 3.0):
        history.update(value)
    state = dict(history=history, scalar=np.float64(2.5), array=np.arange(3))
    loaded = torch.load(saved(state), weights_only=True)
    assert loaded["history"].mean() == 2.0
    assert loaded["scalar"] == 2.5 and loaded["array"].tolist() == [0, 1, 2]


class Attribute:
    """Pickles as ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.parts = owner, name

    def __reduce__(self):
        return getattr, self.parts


@pytest.mark.parametrize(
    "target", [(HistoryBuffer, "__init__"), (bytes, "fromhex"), (np.ndarray, "tofile")]
)
def test_no_other_attribute_can_be_reached(target):
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        torch.load(saved(dict(x=Attribute(*target))), weights_only=True)


def test_newer_versions_are_warned_of_not_refused(monkeypatch):
    monkeypatch.setattr(compat.metadata, "version", lambda package: "99.1rc2")
    with pytest.warns(UserWarning, match="mmpose < 1.4; 99.1rc2"):
        compat.warn_of_untested_versions()
    assert compat._release("1.3.2rc1") == (1, 3, 2)
    assert compat._release("2.1.0+cu118") == (2, 1, 0)


def test_version():
    assert semamb_mm.__version__.count(".") == 2
