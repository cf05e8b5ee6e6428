"""The documentation site: its pages, the reference, the messages that it quotes."""

import ast
import html
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from tests import ROOT
from tests.contracts.test_fixed_names import registered

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
REFERENCE = {"mmpose": "pose", "mmpretrain": "pretrain"}
# Any text that is filled in, in a quoted message.
FILLED_IN = "…"


def pages_of(nav):
    """Paths of all pages of a navigation."""
    for entry in nav:
        for value in entry.values():
            yield from pages_of(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation_once():
    docs = ROOT / "docs"
    stands = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    listed = list(pages_of(SITE["nav"]))
    assert len(set(listed)) == len(listed)
    assert stands <= set(listed)
    for page in set(listed) - stands:
        assert (ROOT / page).is_file(), page


def test_the_site_builds_without_a_warning(tmp_path):
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("no mkdocs here: see requirements/docs.txt")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "reference/pose.html").read_text()
    assert "the detector must have roughly converged" in re.sub(r"\s+", " ", page)
    shown = html.unescape(re.sub(r"<.*?>", "", page))
    # Examples are shown as code, and nothing of Sphinx's dialect is left.
    assert "model = dict(head=dict(type='SemanticAlignmentHead'))" in shown
    assert "```" not in shown and "::\n" not in shown
    # A link out of docs/ leads to the page that the site holds in its place.
    assert 'href="CONTRIBUTING.html"' in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("package", REFERENCE)
def test_the_reference_has_every_registered_component(package):
    """By its name, and the path that mkdocstrings reads; see test_reference, too."""
    registry = __import__(f"{package}.registry", fromlist=["registry"])
    paths = {
        name: f"{getattr(registry, kind).get(name).__module__}.{name}"
        for kind, names in registered(package).items()
        for name in names
    }
    text = (ROOT / f"docs/reference/{REFERENCE[package]}.md").read_text()
    listed = re.findall(r"^### (\w+)\n\n::: ([\w.]+)$", text, re.M)
    assert sorted(listed) == sorted(paths.items())


def test_the_reference_has_the_mathematics():
    import semamb_mm.functional as functional

    text = (ROOT / "docs/reference/functional.md").read_text()
    listed = re.findall(r"^::: ([\w.]+)$", text, re.M)
    assert [path.split(".")[-1] for path in listed] == functional.__all__


def spaced(text):
    return re.sub(r"\s+", " ", text)


def messages():
    """All texts of the code, with a mark where something is filled in."""
    for folder in ("semamb_mm", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    parts = (getattr(p, "value", None) for p in node.values)
                    yield "".join(p if isinstance(p, str) else FILLED_IN for p in parts)
    for path in (*ROOT.glob("requirements/*.sh"), *ROOT.glob("tools/*.sh")):
        # Words that a shell puts together again.
        yield re.sub(r'\\\n|" \\\n\s+"', " ", path.read_text()).replace('"', "")


def test_quoted_messages_are_the_codes():
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^```text\n(.*?)\n```", page, re.M | re.S)
    assert len(quoted) > 25
    known = {spaced(message) for message in messages() if len(message) > 10}
    for message in quoted:
        # The page's mark may stand for more than one of the code's.
        parts = spaced(message).split(FILLED_IN)
        pattern = re.compile(".*?".join(map(re.escape, parts)))
        near = (text for text in known if max(parts, key=len) in text)
        assert any(map(pattern.search, near)), message
