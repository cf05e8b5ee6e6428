#!/usr/bin/env bash
# tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [flags of tools/test.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS describe the job; PYTHON names the
# interpreter.
set -eu
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [flags of tools/test.py]" >&2
    exit 2
fi
partition=$1 job=$2 config=$3 checkpoint=$4; shift 4
. "$(dirname "$0")/slurm_common.sh"
launch test.py "$config" "$checkpoint" --launcher slurm "$@"
