# Sourced by the launchers: $python, the first that has torch and this package.
found=
for python in "${PYTHON:-python}" "$(dirname "$0")/../.venv/bin/python"; do
    # A script finds what is installed, not what lies in the current folder.
    if "$python" -c 'import sys
from importlib.util import find_spec
sys.path = [folder for folder in sys.path if folder]
raise SystemExit(not (find_spec("torch") and find_spec("semamb_mm")))' 2>/dev/null; then
        found=yes
        break
    fi
done
if [ -z "$found" ]; then
    echo "${PYTHON:-python} has not both torch and semamb_mm: type 'source" \
        ".venv/bin/activate', or name another: PYTHON=... (see docs/install.md)" >&2
    exit 1
fi
