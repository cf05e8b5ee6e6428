#!/usr/bin/env bash
# Semantic alignment on generated faces, from nothing to pictures; about 10
# minutes on 2 cores. OUT names the folder, PYTHON_BIN the interpreter.
set -eu
cd "$(dirname "$0")/.."
. tools/demo_common.sh
out=${OUT:-demo_output}
config=configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py

echo "1/4  training $config (log: $out/train.log)"
mkdir -p "$out"
rm -rf "$out/train"
# Every other epoch's targets are kept from the first search on, to animate them.
train "$config" --cfg-options default_hooks.checkpoint.interval=2 \
    default_hooks.checkpoint.save_begin=10 default_hooks.checkpoint.max_keep_ckpts=-1 \
    "$@"

echo "2/4  testing on other faces, against their true landmarks"
$python tools/test.py $config "$checkpoint" --work-dir "$out/test" \
    --out "$out/metrics.json" >"$out/test.log" 2>&1 ||
    { tail -n 20 "$out/test.log" >&2; exit 1; }
grep -A 3 'FaceNME of' "$out/test.log" | sed 's/.*INFO - /     /'

echo "3/4  what became of the annotations"
$python tools/analysis/inspect_targets.py $config "$checkpoint" \
    --out-dir "$out/targets" --animate 2>"$out/targets.log" ||
    { tail -n 20 "$out/targets.log" >&2; exit 1; }

echo "4/4  an audit of the annotations, one landmark in 200 misplaced for it"
$python tools/analysis/audit_annotations.py $config "$checkpoint" \
    --out-dir "$out/audit" --cfg-options train_dataloader.dataset.noise=slips \
    >"$out/audit.txt" 2>"$out/audit.log" ||
    { tail -n 20 "$out/audit.log" >&2; exit 1; }
grep -E 'suspects|expected' "$out/audit.txt" | fold -s -w 74 | sed 's/^/     /'
echo
echo "Pictures: $out/targets/faces.png  (annotation, latent target, prediction)"
echo "          $out/targets/moves.png  (how far targets moved, per landmark)"
echo "          $out/targets/targets.gif  (one face's targets over the epochs)"
echo "Pages:    $out/audit/audit.html   (which annotations are wrong)"
echo "          $out/audit/review.html  (decide about them, one key each)"
