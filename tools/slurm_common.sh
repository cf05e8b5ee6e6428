# Sourced by slurm_train.sh and slurm_test.sh, which set $partition and $job.

# launch SCRIPT [ARGUMENTS]: SCRIPT stands beside this file.
launch() {
    . "$(dirname "$0")/python_common.sh"
    # shellcheck disable=SC2086
    exec srun -p "$partition" --job-name="$job" \
        --gres="gpu:${GPUS_PER_NODE:-8}" --ntasks="${GPUS:-8}" \
        --ntasks-per-node="${GPUS_PER_NODE:-8}" --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$python" -u "$(dirname "$0")/$1" "${@:2}"
}
