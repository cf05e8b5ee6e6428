"""Safe loading of MMEngine's checkpoints, and its limits."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

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


class Numbers(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(values=torch.tensor([float(index)]))


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, values, mode="tensor"):
        return dict(loss=self.layer(torch.stack(values)).square().mean())


def run_epochs(work_dir, max_epochs, name, **kwargs):
    runner = Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=Numbers(),
            sampler=dict(type="DefaultSampler", shuffle=True),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9)),
        default_hooks=dict(logger=dict(type="LoggerHook", interval=1)),
        default_scope="mmengine",
        experiment_name=name,
        **kwargs,
    )
    runner.train()
    return runner


@pytest.fixture
def allowed_nothing():
    """Forgets every allowed class for a while, as before semamb_mm's import."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_stock_runner_resumes_only_with_the_mend(tmp_path, allowed_nothing):
    run_epochs(tmp_path, 2, "first")
    with pytest.raises(pickle.UnpicklingError):
        run_epochs(tmp_path, 3, "stock", resume=True)
    compat.register_safe_globals()
    resumed = run_epochs(tmp_path, 3, "mended", resume=True)
    assert resumed.epoch == 3 and resumed.iter == 6
    # The log history came along: six losses, not the last epoch's two.
    assert len(resumed.message_hub.get_scalar("train/loss").data[0]) == 6


def test_import_is_light():
    code = (
        "import sys, semamb_mm; "
        "print([n for n in ('mmcv', 'mmdet', 'mmpose', 'mmpretrain', 'torchvision') "
        "if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


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


@pytest.mark.parametrize("version", ["99.1rc2", "0.1"])
def test_other_versions_are_warned_of_not_refused(monkeypatch, version):
    monkeypatch.setattr(compat, "_TESTED", dict(mmpose=("1.3.2", "1.4")))
    monkeypatch.setattr(compat.metadata, "version", lambda package: version)
    with pytest.warns(UserWarning, match=f"mmpose >= 1.3.2, < 1.4; {version}"):
        compat.warn_of_untested_versions()


@pytest.mark.parametrize("version", ["1.3.2", None])
def test_tested_and_unknown_versions_are_not_warned_of(monkeypatch, recwarn, version):
    monkeypatch.setattr(compat, "_TESTED", dict(mmpose=("1.3.2", "1.4")))
    monkeypatch.setattr(compat.metadata, "version", lambda package: version)
    compat.warn_of_untested_versions()
    assert not recwarn.list


def test_release_numbers():
    assert compat.release("1.3.2rc1") == (1, 3, 2)
    assert compat.release("2.1.0+cu118") == (2, 1, 0)


def test_version():
    assert semamb_mm.__version__.count(".") == 2


@pytest.mark.parametrize(
    "missing, remedy",
    [
        ("mmpose", "pip install --no-deps mmpose"),
        ("mmcv", "Install it: pip install --no-build-isolation mmcv==2.1.0"),
        ("mmdet.utils", "Install it: pip install --no-deps mmdet==3.3.0"),
        ("mmcv._ext", "as in mmcv-lite: pip uninstall mmcv-lite, then pip install"),
        ("cv2", "pip install opencv-python-headless"),
        ("shapely.geometry", "Install it: pip install shapely"),
    ],
)
def test_what_is_missing_is_named_with_the_command(monkeypatch, missing, remedy):
    def fail(package):
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)

    monkeypatch.setattr(compat.importlib, "import_module", fail)
    with pytest.raises(ImportError, match="docs/install.md") as caught:
        compat.require_framework("semamb_mm.pose", "MMPose", ["mmpose.models"])
    text = str(caught.value)
    assert f"No module named '{missing}'" in text and remedy in text


def test_what_does_not_load_is_not_to_be_installed(monkeypatch):
    def fail(package):
        raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")

    monkeypatch.setattr(compat.importlib, "import_module", fail)
    with pytest.raises(ImportError, match="libGL.*installed but does not load"):
        compat.require_framework("semamb_mm.pose", "MMPose", ["mmpose.models"])


def test_mmcv_lite_is_recognised_by_the_real_imports():
    code = "import sys; sys.modules['mmcv._ext'] = None; import semamb_mm.pose"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "semamb_mm.pose needs MMPose" in done.stderr
    assert "as in mmcv-lite" in done.stderr
