"""Every command that the docs name is one that its tool takes."""

import argparse
import functools
import importlib
import re
import shlex
import subprocess
import sys

import pytest
from mmengine.config import Config

from tests import ROOT
from tests.test_docs import PAGES, read

# A shell in which the commands only say how they were called.
RECORD = r"""printf '%s\0' "$@" $'\n' >>commands"""
SHELL = f"""
set -eu
PATH=
: >commands
record() {{ {RECORD}; }}
for name in make mim pip python torchrun; do
    eval "$name() {{ record $name"' "$@"; }}'
done
source() {{ :; }}
"""
# Arguments of a script that starts several processes, before those of the tool.
LAUNCHERS = {
    "tools/dist_train.sh": ("tools/train.py", "{config} {gpus}"),
    "tools/dist_test.sh": ("tools/test.py", "{config} {checkpoint} {gpus}"),
    "tools/slurm_train.sh": ("tools/train.py", "{partition} {job} {config}"),
    "tools/slurm_test.sh": ("tools/test.py", "{partition} {job} {config} {checkpoint}"),
}

# Words to put something in for, where a tool takes only some.
PLACEHOLDERS = dict(NAME="cub")


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """``typed(lines)``: the commands that a shell makes of them, as lists of words."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "tools").mkdir()
    for script in LAUNCHERS:
        assert (ROOT / script).is_file()
        (folder / script).write_text(f'#!/bin/bash\nset -- "$0" "$@"\n{RECORD}\n')
        (folder / script).chmod(0o755)

    def run(lines):
        done = subprocess.run(
            ["bash", "-c", SHELL + lines], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        words = (folder / "commands").read_text()
        return [line.split("\0")[:-1] for line in words.split("\n\0")[:-1]]

    return run


def tool_of(words):
    """A tool's module and the words that it gets; None if it is not ours."""
    program, *words = words
    if program in LAUNCHERS:
        path, before = LAUNCHERS[program]
        names = before.split()
        kept = [w for n, w in zip(names, words) if n in ("{config}", "{checkpoint}")]
        program, words = path, [*kept, *words[len(names) :]]
    elif program in ("python", "torchrun"):
        start = (
            0
            if program == "python"
            else next(i for i, word in enumerate(words) if not word.startswith("-"))
        )
        program, *words = words[start:]
        if program == "-m":
            module, *words = words
            ours = module.split(".")[0] in ("benchmarks", "semamb_mm", "studies")
            return (module, words) if ours else None
    elif program == "mim" and words[:2] == ["run", "semamb_mm"]:
        (path,) = (ROOT / "tools").rglob(f"{words[2]}.py")
        program, words = path.relative_to(ROOT).as_posix(), words[3:]
    if not program.endswith(".py"):
        return None
    assert (ROOT / program).is_file(), program
    return program.removesuffix(".py").replace("/", "."), words


class ReachedError(Exception):
    """A tool came to the reading of its words."""


@functools.cache
def parser_of(module):
    """The parser by which a tool reads its words."""

    def stop(self, *args, **kwargs):
        raise ReachedError(self)

    main = importlib.import_module(module).main
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [module])
        with pytest.raises(ReachedError) as reached:
            main()
    return reached.value.args[0]


def check_overridden(args):
    """What ``--cfg-options`` changes is there to be changed."""
    config, options = getattr(args, "config", ""), getattr(args, "cfg_options", None)
    if options and (ROOT / config).is_file():
        place = Config.fromfile(ROOT / config)
        for key in options:
            part = place
            for name in key.split(".")[:-1]:
                part = part[int(name) if isinstance(part, list) else name]


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_taken(page, typed, capsys):
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", read(page), re.M | re.S)
    for words in typed("\n".join(blocks)) if blocks else ():
        found = tool_of(words)
        if found is not None:
            module, rest = found
            rest = [PLACEHOLDERS.get(word, word) for word in rest]
            try:
                check_overridden(parser_of(module).parse_args(rest))
            except SystemExit:
                pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_are_known(page):
    text = re.sub(r"^ *```.*?^ *```", "", read(page), flags=re.M | re.S)
    for command in re.findall(r"`((?:python|tools/)[^`]*)`", text):
        words = shlex.split(command)
        found = tool_of(["python", *words] if words[0].endswith(".py") else words)
        if found is not None and found[1]:
            known = parser_of(found[0])._option_string_actions
            options = {w.split("=")[0] for w in found[1] if w.startswith("--")}
            assert options <= set(known), command


def test_the_checks_see_what_is_wrong(typed):
    lines = 'N=2\nGPUS=$N tools/slurm_train.sh PART JOB mine.py --no-such "a b"\n'
    (words,) = typed(lines)
    module, rest = tool_of(words)
    assert (module, rest) == ("tools.train", ["mine.py", "--no-such", "a b"])
    with pytest.raises(SystemExit):
        parser_of(module).parse_args(rest)
    with pytest.raises(AssertionError, match="tools/none.py"):
        tool_of(["python", "tools/none.py"])
    with pytest.raises(AssertionError, match="no_such_command"):
        typed("no_such_command\n")
    args = argparse.Namespace(
        config="configs/osm_caa/resnet50_osm_cub-224x224.py",
        cfg_options={"model.no_such_part.depth": 3},
    )
    with pytest.raises(KeyError, match="no_such_part"):
        check_overridden(args)
