"""What the files of ``configs/`` say, each once, and what mim reads of them."""

import statistics

import pytest
import yaml
from mim.commands.search import convert2df
from mmengine.config import Config
from modelindex.load_model_index import load

from tests import ROOT

FOLDER = ROOT / "configs"
CONFIGS = sorted(FOLDER.glob("[!_]*/*.py"))
METAFILES = yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]
# As many lines in a row are a copy.
COPY = 6


def own_lines(path):
    """The lines of a file that say something."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def copies(files):
    """Pairs of files that share ``COPY`` lines in a row."""
    first, pairs = {}, set()
    for path in files:
        lines = own_lines(path)
        for start in range(len(lines) - COPY + 1):
            other = first.setdefault(tuple(lines[start : start + COPY]), path)
            if other != path:
                pairs.add((other.name, path.name))
    return pairs


def test_no_two_configs_are_copies():
    assert copies(FOLDER.rglob("*.py")) == set()


def test_a_copy_is_found(tmp_path):
    text = (FOLDER / "_base_/aflw_256.py").read_text()
    (tmp_path / "one.py").write_text(text)
    (tmp_path / "two.py").write_text(f"# Another one.\n{text}")
    assert copies(sorted(tmp_path.glob("*.py"))) == {("one.py", "two.py")}


def test_a_config_says_what_differs_from_its_base():
    lengths = [len(own_lines(path)) for path in CONFIGS]
    assert max(lengths) <= 45
    assert statistics.median(lengths) <= 5


@pytest.mark.parametrize("folder", ["semantic_alignment", "ghcu", "osm_caa"])
def test_configs_are_inherited_from_another_folder(folder, tmp_path):
    """A relative ``_base_`` is relative to the file that says it."""
    path = next(path for path in CONFIGS if path.parent.name == folder)
    child = tmp_path / "mine.py"
    child.write_text(f"_base_ = {str(path)!r}\nrandomness = dict(seed=7)\n")
    inherited, base = Config.fromfile(str(child)), Config.fromfile(str(path))
    assert inherited.randomness.seed == 7
    assert inherited.model == base.model
    assert inherited.train_dataloader == base.train_dataloader


def test_names_are_unique_as_mim_needs():
    names = [path.name for path in CONFIGS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("metafile", METAFILES)
def test_model_index_names_what_exists(metafile):
    content = yaml.safe_load((ROOT / metafile).read_text())
    for collection in content["Collections"]:
        assert (ROOT / collection["README"]).is_file()
    listed = {model["Config"] for model in content["Models"]}
    for config in listed:
        assert (ROOT / config).is_file()
    folder = (ROOT / metafile).parent
    assert listed == {str(p.relative_to(ROOT)) for p in folder.glob("*.py")}


@pytest.mark.parametrize("metafile", METAFILES)
def test_metafiles_say_only_what_is_known(metafile):
    content = yaml.safe_load((ROOT / metafile).read_text())
    (collection,) = content["Collections"]
    for model in content["Models"]:
        assert model["Name"] == model["Config"].split("/")[-1].removesuffix(".py")
        assert model["In Collection"] == collection["Name"]
        assert model["Metadata"]["Training Data"]
        assert all(result["Metrics"] for result in model.get("Results", ()))


def test_mim_search_finds_every_config():
    table = convert2df(load(str(ROOT / "model-index.yml")))
    assert dict(table["config"]) == {
        path.stem: str(path.relative_to(ROOT)) for path in CONFIGS
    }
    assert table.notna().all(axis=None)
