#!/usr/bin/env bash
# OSM/CAA on invented characters with wrong labels among them, from nothing to
# pictures; under 5 minutes on 2 cores. OUT names the folder, PYTHON_BIN the
# interpreter.
set -eu
cd "$(dirname "$0")/.."
. tools/demo_common.sh
out=${OUT:-demo_retrieval_output}
config=configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py
noise=0.1

mkdir -p "$out"
rm -rf "$out/characters" "$out/train"
export DATA_ROOT=$out/characters
echo "1/4  drawing characters"
$python tools/draw_characters.py "$DATA_ROOT" | sed 's/^/     /'

echo "2/4  training $config, $noise of the labels wrong (log: $out/train.log)"
train "$config" --cfg-options train_dataloader.dataset.label_noise=$noise "$@"

echo "3/4  testing on characters of other alphabets"
$python tools/test.py $config "$checkpoint" --work-dir "$out/test" \
    --out "$out/metrics.json" >"$out/test.log" 2>&1 ||
    { tail -n 20 "$out/test.log" >&2; exit 1; }
grep -o 'retrieval/Recall@1.*' "$out/test.log" | tail -n 1 | sed 's/^/     /'

echo "4/4  what it retrieves, and which labels it does not believe"
$python tools/analysis/retrieval_gallery.py $config "$checkpoint" \
    --out-dir "$out" --cfg-options train_dataloader.dataset.label_noise=$noise \
    2>"$out/gallery.log" || { tail -n 20 "$out/gallery.log" >&2; exit 1; }
echo
echo "Pictures: $out/retrieval.png  (queries, neighbours, right and wrong)"
echo "          $out/outliers.png   (lowest class-aware attention)"
