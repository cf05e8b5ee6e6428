#!/usr/bin/env bash
# tools/slurm_train.sh PARTITION JOB_NAME CONFIG [flags of tools/train.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS describe the job; PYTHON names the
# interpreter.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [flags of tools/train.py]" >&2
    exit 2
fi
partition=$1 job=$2 config=$3; shift 3
. "$(dirname "$0")/slurm_common.sh"
launch train.py "$config" --launcher slurm "$@"
