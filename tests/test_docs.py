"""What the pages link to and name exists."""

import ast
import re
from fnmatch import fnmatchcase

import pytest
import yaml

from semamb_mm import __version__
from tests import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "configs/*/README.md",
    )
    for path in ROOT.glob(pattern)
)
FOLDERS = "benchmarks|configs|docs|requirements|semamb_mm|studies|tests|tools"
FILES = [
    f"/{path.relative_to(ROOT).as_posix()}"
    for pattern in ("*.*", *(f"{folder}/**/*" for folder in FOLDERS.split("|")))
    for path in ROOT.glob(pattern)
]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(text):
    """Names that GitHub gives a page's headings."""
    for heading in re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M
    ):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def braces(name):
    """``a_{b,c}.py`` as ``a_b.py`` and ``a_c.py``."""
    found = re.search(r"\{([^{}]*)\}", name)
    if found is None:
        yield name
        return
    for part in found[1].split(","):
        yield from braces(name[: found.start()] + part.strip() + name[found.end() :])


def defined(path):
    """Names that a module defines or imports, by ``*`` from its subpackages too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield from defined(path.parent / node.module / "__init__.py")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def resolves(dotted):
    """Whether ``package.module.name`` is a module, or stands in one."""
    path, names = ROOT, dotted.split(".")
    for i, name in enumerate(names):
        if (path / name).is_dir():
            path = path / name
        elif (path / f"{name}.py").is_file():
            left = names[i + 1 :]
            return not left or left[0] in defined(path / f"{name}.py")
        else:
            return name in defined(path / "__init__.py")
    return True


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_resolve(page):
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", read(page)):
        name, _, anchor = link.partition("#")
        target = (folder / name).resolve() if name else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in set(anchors(target.read_text(encoding="utf-8"))), link


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page):
    text = read(page)
    found = re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w.{{}},*/-]+", text)
    names = {name.rstrip(".,-/") for name in found}
    names |= set(re.findall(r"`([\w{},*./-]+\.(?:py|sh|md|yml))`", text))
    for name in sorted(names):
        for each in () if "NAME" in name else braces(name):
            assert any(fnmatchcase(path, f"*/{each}") for path in FILES), each


@pytest.mark.parametrize("page", PAGES)
def test_modules_exist(page):
    text = read(page)
    names = re.findall(r"(?<![\w/.-])semamb_mm(?:\.\w+)+", text)
    names += re.findall(r"python -m ((?:benchmarks|studies)(?:\.\w+)?)", text)
    for name in sorted(set(names) - {"benchmarks.NAME", "studies.NAME"}):
        assert resolves(name), name
    for module, imported in re.findall(r"from (semamb_mm[\w.]*) import (\w+)", text):
        assert resolves(f"{module}.{imported}"), f"{module}.{imported}"


@pytest.mark.parametrize("page", PAGES)
def test_make_commands_exist(page):
    targets = set(re.findall(r"^([\w-]+):", read("Makefile"), re.M))
    text = read(page)
    code = "".join(re.findall(r"^```.*?^```", text, re.M | re.S))
    lines = re.findall(r"^(?:[A-Z]+=\S+ )?make ([\w -]+)", code, re.M)
    lines += re.findall(r"`(?:[A-Z]+=\S+ )?make\s([\w\s-]+)`", text)
    for line in lines:
        assert set(line.split()) <= targets, line


def test_every_page_is_in_the_index():
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").as_posix()
        assert name == "README.md" or f"({name})" in read("docs/README.md")


def test_the_checks_see_what_is_missing():
    assert not resolves("semamb_mm.faces.nothing")
    assert not resolves("semamb_mm.functional.nothing")
    assert not resolves("studies.nothing")
    assert resolves("semamb_mm.functional.consensus_targets")
    assert list(braces("a_{b,c}-{d,e}")) == ["a_b-d", "a_b-e", "a_c-d", "a_c-e"]
    assert list(anchors("# One\n## Two, 3: `x`!\n")) == ["one", "two-3-x"]


def test_citation():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == __version__
    for paper in citation["references"]:
        assert paper["title"] in re.sub(r"\s+", " ", read("docs/ghcu.md")) + re.sub(
            r"\s+", " ", read("docs/osm_caa.md")
        )


def test_names_are_where_the_changelog_says():
    text = read("CHANGELOG.md")
    rows = re.findall(r"^\| `([\w.]+)` \| (`[a-z].*`) \| (.*) \|$", text, re.M)
    assert len(rows) > 40
    for _, modules, names in rows:
        places = [
            f"semamb_mm.{module}" for module in re.findall(r"`([\w.]+)`", modules)
        ]
        assert all(map(resolves, places)), modules
        new = " ".join(part.split(": now ")[-1] for part in names.split(";"))
        for name in re.findall(r"`(\w+)`", new):
            assert any(resolves(f"{place}.{name}") for place in places), name
    for command in re.findall(r"python -m ((?:benchmarks|studies)\.\w+)", text):
        assert resolves(command), command


def test_rooms_import_what_the_map_allows():
    rows = re.findall(
        r"^\| `semamb_mm/(\w+)` \| .* \| (.*) \|$", read("CONTRIBUTING.md"), re.M
    )
    rooms = {room: set(re.findall(r"`(\w+)`", allowed)) for room, allowed in rows}
    assert len(rooms) == 9
    for room in set(rooms) - {"pose", "pretrain"}:
        for path in (ROOT / "semamb_mm" / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            others = set(
                re.findall(r"^\s*(?:from|import) semamb_mm\.(\w+)", text, re.M)
            )
            assert others <= rooms[room] | {room}, path
