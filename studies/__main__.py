"""Lists the studies: ``python -m studies``."""

from __future__ import annotations

import ast
from pathlib import Path


def studies() -> dict[str, str]:
    """Return the name of each study and what it is, in one line."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.stem != "__main__" and 'if __name__ == "__main__":' in text:
            found[path.stem] = ast.get_docstring(ast.parse(text)).splitlines()[0]
    return found


def main() -> None:
    """Print the list."""
    print("python -m studies.NAME --help\n")
    found = studies()
    width = max(map(len, found))
    for name, line in found.items():
        print(f"{name:<{width}} {line}")


if __name__ == "__main__":
    main()
