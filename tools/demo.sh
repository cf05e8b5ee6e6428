#!/usr/bin/env bash
# Semantic alignment on generated faces, from nothing to pictures; about 10
# minutes on 2 cores. OUT names the folder, PYTHON_BIN the interpreter.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON_BIN:-.venv/bin/python}
out=${OUT:-demo_output}
config=configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py
# One thread a process is fastest here: the other core prepares the batches.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

echo "1/3  training $config (log: $out/train.log)"
mkdir -p "$out"
start=$SECONDS
rm -rf "$out/train"
$python tools/train.py $config --work-dir "$out/train" "$@" >"$out/train.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null || true' INT TERM EXIT
while kill -0 $pid 2>/dev/null; do
    last=${line:-}
    line=$(grep -ao 'Epoch(train) *\[[0-9]*\]\[ *[0-9]*/[0-9]*\].*eta: [0-9:]*' \
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
checkpoint=$(cat "$out/train/last_checkpoint")

echo "2/3  testing on other faces, against their true landmarks"
$python tools/test.py $config "$checkpoint" --work-dir "$out/test" \
    --out "$out/metrics.json" >"$out/test.log" 2>&1 ||
    { tail -n 20 "$out/test.log" >&2; exit 1; }
grep -A 3 'FaceNME of' "$out/test.log" | sed 's/.*INFO - /     /'

echo "3/3  what became of the annotations"
$python tools/analysis/inspect_targets.py $config "$checkpoint" \
    --out-dir "$out/targets" 2>"$out/targets.log" ||
    { tail -n 20 "$out/targets.log" >&2; exit 1; }
echo
echo "Pictures: $out/targets/faces.png  (annotation, latent target, prediction)"
echo "          $out/targets/moves.png  (how far targets moved, per landmark)"
