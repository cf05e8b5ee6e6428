"""tools/check_dataset.py on tiny trees."""

import importlib.util
import sys
from pathlib import Path

import pytest

from .pretrain.datasets.layouts import make_cars, make_cub, make_lpw, make_mars
from .pretrain.datasets.test_omniglot import make_archives, make_folders


@pytest.fixture(scope="module")
def tool():
    path = Path(__file__).parent.parent / "tools" / "check_dataset.py"
    spec = importlib.util.spec_from_file_location("check_dataset", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_dataset"] = module  # for its worker processes
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_dataset"]


TINY = {
    "cub": (make_cub, [2, 6, 3, 9]),
    "cars196": (make_cars, [2, 8, 2, 8]),
    "mars": (make_mars, [3, 6, 12, 4, 7, 14, 3]),
    "lpw": (make_lpw, [4, 5, 15, 3, 6, 18, 3]),
    "omniglot-small": (make_folders, [4, 12, 8, 24]),
    "omniglot": (make_archives, [4, 12, 2, 6]),
}


def check(tool, monkeypatch, name, root, *options):
    """Runs the tool with the tiny tree's numbers as the expected ones."""
    entry = tool.DATASETS[name]
    expected = dict(zip(entry.expected, TINY[name][1], strict=True))
    monkeypatch.setitem(tool.DATASETS, name, entry._replace(expected=expected))
    monkeypatch.setattr(sys, "argv", ["check_dataset.py", name, str(root), *options])
    tool.main()


@pytest.mark.parametrize("name", TINY)
def test_whole_tree_passes(tool, monkeypatch, tmp_path, capsys, name):
    assert set(TINY) == set(tool.DATASETS)
    root = TINY[name][0](tmp_path)
    check(tool, monkeypatch, name, root, "--verify", "--workers", "2")
    assert f"{name}: all as expected" in capsys.readouterr().out


@pytest.mark.parametrize("name", TINY)
def test_protocol_numbers_are_held_against_it(tool, monkeypatch, tmp_path, name):
    root = TINY[name][0](tmp_path)
    monkeypatch.setattr(sys, "argv", ["check_dataset.py", name, root])
    numbers = len(tool.DATASETS[name].expected)
    with pytest.raises(SystemExit, match=f"{name}: {numbers} problems"):
        tool.main()


def test_every_bad_file_is_named(tool, monkeypatch, tmp_path, capsys):
    root = make_mars(tmp_path)
    folder = tmp_path / "bbox_train" / "0001"
    (folder / "0001C1T0001F001.jpg").unlink()
    (folder / "Thumbs.db").write_text("")
    short = folder / "0001C1T0001F002.jpg"
    short.write_bytes(short.read_bytes()[:-200])
    names = tmp_path / "info" / "test_name.txt"
    names.write_text(names.read_text().replace("T0001F002", "T0001F001"))
    with pytest.raises(SystemExit, match="mars: 5 problems"):
        check(tool, monkeypatch, "mars", root, "--verify", "--workers", "1")
    out = capsys.readouterr().out
    assert f"missing: {folder}/0001C1T0001F001.jpg\n" in out
    assert f"surplus: {folder}/Thumbs.db\n" in out
    assert f"surplus: {tmp_path}/bbox_test/00-1/00-1C1T0001F002.jpg\n" in out
    assert f"listed 2 times: {tmp_path}/bbox_test/00-1/00-1C1T0001F001.jpg\n" in out
    assert f"unreadable: {short} (OSError: " in out


def test_what_cannot_be_loaded_is_named(tool, monkeypatch, tmp_path):
    make_cub(tmp_path)
    (tmp_path / "bounding_boxes.txt").unlink()
    with pytest.raises(SystemExit, match=r"cub: no file .*bounding_boxes.txt"):
        check(tool, monkeypatch, "cub", tmp_path)
