#!/bin/sh
# The whole of the paper: its split of GTZAN, the network without and with batch normalisation, several runs of each, its tables.
# Called again, it goes on with what is unfinished.
set -eu

python=$1 gtzan=$2 output=$3 runs=$4 epochs=$5
data=$output/tfrecords

if [ ! -f "$data/dataset.json" ]; then
    "$python" run_pipeline.py --runner DirectRunner --input "$gtzan" --split herbert --output "$data"
fi
for network in shallow shallow-batchnorm; do
    case $network in
    *-batchnorm) batchnorm=--batchnorm ;;
    *) batchnorm=--no-batchnorm ;;
    esac
    run=$output/$network
    if [ -f "$run/options.json" ]; then
        "$python" train.py --resume "$run" --epochs "$epochs"
    else
        "$python" train.py --data "$data" --output "$run" "$batchnorm" --runs "$runs" --epochs "$epochs"
    fi
done
rm -rf "$output/summary"
"$python" -m keras_model.summary "$output"/shallow/seed-* "$output"/shallow-batchnorm/seed-* --output "$output/summary"
