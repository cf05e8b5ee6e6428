# Sourced by the demos: $python, and train(), which shows one line of progress.
python=${PYTHON_BIN:-.venv/bin/python}
# One thread a process is fastest here: the other core prepares the batches.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# train CONFIG [ARGUMENTS]: into $out/train; sets $checkpoint.
train() {
    local start=$SECONDS line= last pid
    $python tools/train.py "$1" --work-dir "$out/train" "${@:2}" >"$out/train.log" 2>&1 &
    pid=$!
    trap 'kill $pid 2>/dev/null || true' INT TERM EXIT
    while kill -0 $pid 2>/dev/null; do
        last=$line
        line=$(grep -ao 'Epoch(train) *\[[ 0-9]*\]\[ *[0-9]*/[0-9]*\].*eta: [0-9:]*' \
            "$out/train.log" | tail -n 1 | sed 's/lr: [^ ]* *//' || true)
        line=${line:-starting}
        if [ -t 1 ]; then
            printf '\r     %-70s' "$line"
        elif [ "${line%%eta*}" != "${last%%eta*}" ]; then
            echo "     $line"
        fi
        sleep 2
    done
    if [ -t 1 ]; then printf '\n'; fi
    trap - INT TERM EXIT
    if ! wait $pid; then
        tail -n 20 "$out/train.log" >&2
        echo "training failed; the whole log is $out/train.log" >&2
        exit 1
    fi
    echo "     trained in $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s"
    # Not the whole path that is in there: pages and their pictures say it.
    checkpoint=$out/train/$(basename "$(cat "$out/train/last_checkpoint")")
}
