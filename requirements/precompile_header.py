"""Compile the header that all of mmcv's C++ files include.

    python precompile_header.py FOLDER

writes ``FOLDER/types.h`` and its compiled form. GCC takes the compiled form for
``-include FOLDER/types.h`` if its options are those of mmcv's build, and otherwise
reads the text, as without. Reading torch/types.h is most of what compiling one of
these files costs.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools.command.build_ext import customize_compiler, new_compiler


def compile_command(header: Path, include_paths: list[str]) -> list[str]:
    """Return the command, with the options that torch gives mmcv's files."""
    compiler = new_compiler()
    customize_compiler(compiler)
    return [
        os.environ.get("CXX", "c++"),
        *compiler.compiler_so[1:],
        *(f"-I{path}" for path in include_paths),
        *("-x", "c++-header", "-c", str(header), "-o", f"{header}.gch"),
        *("-std=c++17", "-DTORCH_API_INCLUDE_EXTENSION_H"),
        "-DTORCH_EXTENSION_NAME=_ext",
    ]


def main(folder: str) -> int:
    """Return the compiler's exit status."""
    from torch.utils import cpp_extension

    header = Path(folder, "types.h")
    header.write_text("#include <torch/types.h>\n")
    paths = [*cpp_extension.include_paths(), sysconfig.get_path("include")]
    return subprocess.run(compile_command(header, paths), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
