#!/usr/bin/env bash
# Makes .venv with the tested stack and this package, step by step. Finished
# steps are remembered (and redone when what they depend on changes), so running
# it again is quick. PYTHON names the interpreter; PIP_FIND_LINKS, if set, may
# offer a built mmcv; MAX_JOBS limits the compilers that run at once.
set -u -o pipefail
cd "$(dirname "$0")/.."
venv=.venv
state=$venv/.semamb-install
r=requirements
net="check the network and that pip reaches a package index"
debian="install it, on Debian or Ubuntu: apt-get install"

fail() { # what, why, remedy
    printf '\nInstall stopped: %s\n  why:  %s\n  fix:  %s\n' "$1" "$2" "$3" >&2
    exit 1
}

pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

check_python() { # before anything is made
    command -v "$python" >/dev/null || fail "no '$python'" \
        "there is no such command" \
        "install CPython 3.10, 3.11 or 3.12, or name one: PYTHON=python3.11 make demo"
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' ||
        fail "$("$python" --version 2>&1) is not supported" \
            "the OpenMMLab stack here is tested with CPython 3.10 to 3.12" \
            "name another interpreter: PYTHON=python3.11 make demo"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "no venv module" \
        "this Python was packaged without venv" "$debian python3-venv"
}

check_compiler() { # before several GB are downloaded
    command -v "${CXX:-c++}" >/dev/null || fail "no C++ compiler" \
        "mmcv and xtcocotools are compiled" "$debian g++"
    "$python" -c 'import os, sysconfig as s
raise SystemExit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
        fail "no Python.h" "this Python was packaged without its headers, which \
compiling mmcv and xtcocotools needs" "$debian python3-dev"
}

number=0
number_done=0
key=
step() { # name, hint when it fails, files it depends on, command ...
    local name=$1 hint=$2 files=$3
    local TIMEFORMAT='done in %0R s (%0U s of CPU)'
    shift 3
    number=$((number + 1))
    # A step depends on those before it: what is compiled, on torch.
    # shellcheck disable=SC2086
    key=$(cat $files - <<<"$key $*" | cksum | tr -d ' ')
    [ -e "$state/$number-$key" ] && return 0
    printf '[%d/10] %s ... ' $number "$name"
    mkdir -p "$state"
    if ! { time "$@" >"$state/$number.log" 2>&1; } 2>"$state/time"; then
        printf 'failed\n--- the last lines it printed ---\n' >&2
        # MMPose's unused chumpy is left out on purpose; pip's notice misleads.
        grep -v -e chumpy -e 'dependency resolver' "$state/$number.log" |
            tail -n 20 >&2
        fail "step $number, $name" \
            "see the lines above; the whole log is $state/$number.log" \
            "$hint, then run the same command again: it goes on from this step"
    fi
    rm -f "$state/$number-"*
    : >"$state/$number-$key"
    number_done=$((number_done + 1))
    cat "$state/time"
}

compile_jobs() { # one a core, each with the 1 GB that it takes
    local cores memory
    cores=$(nproc)
    memory=$(awk '/^MemAvailable:/ {print int($2 / 1e6)}' /proc/meminfo 2>/dev/null)
    [ "${memory:-$cores}" -lt "$cores" ] && cores=$memory
    echo $((cores > 0 ? cores : 1))
}

install_mmcv() {
    # With a GPU but no nvcc, mmcv would look for a compiler that is not there;
    # its operators for the CPU are all that is needed.
    if ! command -v nvcc >/dev/null && [ -z "${CUDA_HOME:-}" ]; then
        local -x CUDA_VISIBLE_DEVICES=
    fi
    local -x MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(compile_jobs)}
    local options=(--no-build-isolation --no-deps -r $r/4-mmcv.txt)
    local check=($venv/bin/python -c 'import mmcv.ops')
    pip install --only-binary mmcv "${options[@]}" && "${check[@]}" && return

    # Of all the flags, setuptools appends these to Python's own, whose -g makes
    # the compiler's work more than twice as long.
    local -x CPPFLAGS="${CPPFLAGS:-} -g0"
    headers=$(mktemp -d)
    trap 'rm -rf "$headers"' EXIT
    $venv/bin/python $r/precompile_header.py "$headers" &&
        CPPFLAGS+=" -include $headers/types.h"
    pip install "${options[@]}" || return
    "${check[@]}" && return
    echo "The mmcv at hand was built against another torch: compiling it."
    pip install --force-reinstall --no-cache-dir --no-binary mmcv "${options[@]}" &&
        "${check[@]}"
}

# PYTHON matters only until .venv stands: 'make test' after 'PYTHON=... make demo'
# keeps the interpreter.
if compgen -G "$state/1-*" >/dev/null; then
    if [ -n "${PYTHON:-}" ] && [ "$(version "$PYTHON")" != "$(version $venv/bin/python)" ]; then
        fail "PYTHON=$PYTHON is not what $venv was made with" \
            "$venv has Python $(version $venv/bin/python)" \
            "leave PYTHON out to keep $venv, or run 'make clean' first"
    fi
    python=$venv/bin/python
else
    python=${PYTHON:-python3}
    check_python
fi
compgen -G "$state/7-*" >/dev/null || check_compiler

make_venv() { "$python" -m venv $venv; }
step "virtual environment $venv" "remove $venv" "" make_venv
step "PyTorch (several GB)" "$net, and that 8 GB of disk are free" \
    $r/1-torch.txt pip install -r $r/1-torch.txt
step "build tools" "$net" $r/2-build.txt pip install -r $r/2-build.txt
step "libraries" "$net" $r/3-libraries.txt \
    pip install -r $r/3-libraries.txt -c $r/1-torch.txt -c $r/2-build.txt
step "MMEngine and mmcv (compiled if no wheel is found: a few minutes, once)" \
    "$net; if it was compiling, use a C++17 compiler and 4 GB of memory (MAX_JOBS=1 \
needs less) and, if nvcc is there, torch's own CUDA version, or hide the GPU with \
CUDA_VISIBLE_DEVICES=" \
    $r/4-mmcv.txt install_mmcv
step "MMDetection, MMPose, MMPretrain, mim" "$net" \
    $r/5-openmmlab.txt pip install --no-deps -r $r/5-openmmlab.txt
step "xtcocotools" "$net, and that a C compiler works" \
    $r/6-xtcocotools.txt pip install --no-deps --no-build-isolation \
    --no-binary xtcocotools -r $r/6-xtcocotools.txt
step "test tools" "$net" "$r/7-tests.txt $r/docs.txt" \
    pip install -r $r/7-tests.txt -r $r/docs.txt -c $r/1-torch.txt -c $r/2-build.txt
step "semamb_mm itself, editable" "report it with the log" \
    "setup.py pyproject.toml semamb_mm/version.py" \
    pip install --no-deps --no-build-isolation -e .
step "check that everything imports" "run 'make clean' first, and report it with the log" \
    "" $venv/bin/python -c "import mmcv.ops, mmpose.apis, mmpose.models, mmpose.datasets, \
mmpose.evaluation, mmpretrain.models, mmpretrain.datasets, mmpretrain.evaluation
import sys
sys.path.remove('')  # mim is to find what is installed, not this folder
from mim.commands.list import list_package
assert any(package[0] == 'semamb-mm' for package in list_package()), 'mim misses it'"
if [ $number_done -gt 0 ]; then
    echo "Ready. Once in every new shell: source $venv/bin/activate"
fi
