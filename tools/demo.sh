#!/usr/bin/env bash
# Semantic alignment on generated faces, from nothing to pictures; about 10
# minutes on 2 cores. OUT names the folder, PYTHON_BIN the interpreter.
set -eu
cd "$(dirname "$0")/.."
. tools/demo_common.sh
out=${OUT:-demo_output}
config=configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py

echo "1/3  training $config (log: $out/train.log)"
mkdir -p "$out"
rm -rf "$out/train"
train "$config" "$@"

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
