#!/usr/bin/env bash
# Makes .venv with the tested stack and this package, step by step. Finished
# steps are remembered (and redone when their requirements change), so running
# it again is quick. PYTHON names the interpreter; PIP_FIND_LINKS, if set, may
# offer a built mmcv.
set -u -o pipefail
cd "$(dirname "$0")/.."
venv=.venv
state=$venv/.semamb-install

fail() { # what, why, remedy
    printf '\nInstall stopped: %s\n  why:  %s\n  mend: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

python=${PYTHON:-python3}
if [ ! -x $venv/bin/python ]; then
    command -v "$python" >/dev/null || fail "no '$python'" \
        "there is no such command" \
        "install CPython 3.10, 3.11 or 3.12, or name one: PYTHON=python3.11 make demo"
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' ||
        fail "$("$python" --version) is not supported" \
            "the OpenMMLab stack here is tested with CPython 3.10 to 3.12" \
            "name another interpreter: PYTHON=python3.11 make demo"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || fail "no venv module" \
        "this Python was packaged without venv" \
        "install it, on Debian or Ubuntu: apt-get install python3-venv"
fi
mkdir -p "$state" 2>/dev/null || true

number=0
step() { # name, hint when it fails, files it depends on, command ...
    local name=$1 hint=$2 files=$3
    shift 3
    number=$((number + 1))
    local stamp log key
    # shellcheck disable=SC2086
    key=$(cat $files /dev/null | cat - <(printf '%s' "$*") | cksum | tr -d ' ')
    stamp=$state/$number-$key
    log=$state/$number.log
    [ -e "$stamp" ] && return 0
    local start=$SECONDS
    printf '[%d/9] %s ... ' $number "$name"
    mkdir -p "$state"
    if "$@" >"$state.log" 2>&1; then
        mkdir -p "$state"
        mv "$state.log" "$log"
        rm -f "$state/$number-"*
        : >"$stamp"
        printf 'done in %d s\n' $((SECONDS - start))
    else
        printf 'failed\n'
        printf '%s\n' '--- the last lines it printed ---' >&2
        # MMPose's unused chumpy is left out on purpose; pip's notice misleads.
        grep -v -e chumpy -e 'dependency resolver' "$state.log" | tail -n 20 >&2
        fail "step $number, $name" "see the lines above; the whole log is $state.log" \
            "$hint, then run the same command again: it goes on from this step"
    fi
}
pip() { $venv/bin/python -m pip --disable-pip-version-check "$@"; }

net="check the network and that pip reaches a package index"
r=requirements
step "virtual environment $venv" "remove $venv" "" "$python" -m venv $venv
step "PyTorch (several GB)" "$net, and that 8 GB of disk are free" \
    $r/1-torch.txt pip install -r $r/1-torch.txt
step "build tools" "$net" $r/2-build.txt pip install -r $r/2-build.txt
step "libraries" "$net" $r/3-libraries.txt \
    pip install -r $r/3-libraries.txt -c $r/1-torch.txt -c $r/2-build.txt
if ! compgen -G "$state/5-*" >/dev/null &&
    ! pip download -q --no-deps --only-binary mmcv -d "$state/wheels" \
        -r $r/4-mmcv.txt >/dev/null 2>&1; then
    command -v "${CXX:-c++}" >/dev/null || fail "no C++ compiler" \
        "mmcv has no wheel for this Python and is compiled" \
        "install one, on Debian or Ubuntu: apt-get install g++"
    echo "      mmcv is compiled now: about 13 minutes on 2 cores, once"
fi
export MMCV_WITH_OPS=1 FORCE_CUDA=${FORCE_CUDA:-0} MAX_JOBS=${MAX_JOBS:-$(nproc)}
step "mmcv" "mmcv needs a C++17 compiler and 4 GB of memory (MAX_JOBS=1 needs less)" \
    $r/4-mmcv.txt pip install --no-build-isolation --no-deps -r $r/4-mmcv.txt
step "MMEngine, MMDetection, MMPose, MMPretrain, mim" "$net" \
    $r/5-openmmlab.txt pip install --no-deps -r $r/5-openmmlab.txt
step "xtcocotools" "it needs a C compiler and Python's headers (python3-dev)" \
    $r/6-xtcocotools.txt pip install --no-deps --no-build-isolation \
    --no-binary xtcocotools -r $r/6-xtcocotools.txt
step "test tools" "$net" $r/7-tests.txt pip install -r $r/7-tests.txt
step "semamb_mm itself, editable" "report it with the log" \
    "setup.py pyproject.toml semamb_mm/version.py" \
    pip install --no-deps --no-build-isolation -e .
