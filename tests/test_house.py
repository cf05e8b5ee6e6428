"""The rooms stay apart, functions short, and tests import what they test."""

import ast
import io
import subprocess
import sys
import tokenize

import pytest

from tests import ROOT

ROOMS = (
    "functional",
    "faces",
    "formats",
    "synthetic",
    "audit",
    "metric_learning",
    "pictures",
)
FRAMEWORKS = ("mmcv", "mmdet", "mmengine", "mmpose", "mmpretrain")
LONGEST = 60  # code lines of a function


def python_files(*folders):
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_rooms_need_no_framework():
    names = [name_of(p) for room in ROOMS for p in python_files(f"semamb_mm/{room}")]
    assert len(names) > len(ROOMS)
    run(
        "import importlib, sys\n"
        f"for name in {FRAMEWORKS}: sys.modules[name] = None\n"
        f"for name in {names}: importlib.import_module(name)"
    )


def test_rooms_open_with_torch_and_numpy_alone():
    """What a file format or a picture needs is imported by the module that needs it."""
    others = ("av", "cv2", "mat4py", "matplotlib", "PIL", "scipy", "sklearn", "tqdm")
    run(
        "import importlib, sys\n"
        f"for name in {FRAMEWORKS + others}: sys.modules[name] = None\n"
        f"for room in {ROOMS}: importlib.import_module('semamb_mm.' + room)\n"
        "import semamb_mm.audit.scores, semamb_mm.metric_learning.retrieval\n"
        "import semamb_mm.formats.files, semamb_mm.formats.pts"
    )


def imported(path):
    """Absolute names of what a module imports, inside functions too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *filter(None, [node.module]))
            yield from (".".join((*base, alias.name)) for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_no_framework_half(room):
    closed = (*FRAMEWORKS, "semamb_mm.pose", "semamb_mm.pretrain")
    for path in python_files(f"semamb_mm/{room}"):
        for name in imported(path):
            wrong = [c for c in closed if f"{name}.".startswith(f"{c}.")]
            assert not wrong, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize(
    ("room", "package"), [("functional", "torch"), ("faces", "numpy")]
)
def test_rooms_that_need_hardly_anything(room, package):
    allowed = {*sys.stdlib_module_names, package}
    for path in python_files(f"semamb_mm/{room}"):
        for name in imported(path):
            own = name.startswith(f"semamb_mm.{room}.")
            assert own or name.split(".")[0] in allowed, f"{path} imports {name}"
    names = [name_of(path) for path in python_files(f"semamb_mm/{room}")]
    new = run(
        "import importlib, sys, semamb_mm\n"
        "before = set(sys.modules)\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "print(*{n.split('.')[0] for n in set(sys.modules) - before})"
    )
    # semamb_mm itself has imported torch and numpy, though not all of their parts.
    assert set(new) - set(sys.stdlib_module_names) <= {"semamb_mm", "torch", "numpy"}


def code_lines(source):
    """Numbers of the lines that hold code: no docstring, comment or blank line."""
    lines = set()
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT}
    skip |= {tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            text = body[0].value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                lines -= set(range(text.lineno, text.end_lineno + 1))
    return lines


def excused(lines, first):
    """Whether the comment right above line ``first`` says why it is long."""
    above = []
    for line in reversed(lines[: first - 1]):
        if not line.strip().startswith("#"):
            break
        above.append(line.strip())
    return any(line.startswith("# Long: ") for line in above)


def long_functions(path):
    source = path.read_text(encoding="utf-8")
    code = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            length = len(code & set(range(first, node.end_lineno + 1)))
            if length > LONGEST and not excused(source.splitlines(), first):
                yield node.name, length


def test_functions_are_short_or_say_why():
    long = {}
    for path in python_files("semamb_mm", "tools", "studies", "benchmarks"):
        where = path.relative_to(ROOT).as_posix()
        for name, length in long_functions(path):
            long[f"{where}: {name}"] = length
    assert not long, f"above {LONGEST} code lines without '# Long: why': {long}"


def test_long_functions_are_found(tmp_path):
    body = '    """Doc."""\n\n    # why\n' + "    x = 1\n" * LONGEST
    path = tmp_path / "module.py"
    path.write_text(f"def f():\n{body}\n\n# Long: one table.\n@g\ndef h():\n{body}")
    assert list(long_functions(path)) == [("f", LONGEST + 1)]


def test_tests_import_what_they_test():
    """A script loaded by its path is no module: nothing follows its name."""
    ways = ["spec_from_file" + "_location", "run" + "_path", "sys.path" + "."]
    for path in python_files("tests"):
        found = [way for way in ways if way in path.read_text(encoding="utf-8")]
        assert not found, path
