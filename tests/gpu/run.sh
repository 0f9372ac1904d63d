#!/usr/bin/env bash
# Checks and measures Orthant on one GPU in less than eight minutes; see README.md beside it.
#
#   tests/gpu/run.sh                 after `cargo build --release --features cuda` and `cargo test --release --features cuda --test cuda --no-run`
#   DEVICE=cpu SHAPE=small tests/gpu/run.sh     the same steps where there is no GPU, to try the script
set -euo pipefail
cd "$(dirname "$0")/../.."

DEVICE="${DEVICE:-cuda:0}"
ORTHANT="${ORTHANT:-target/release/orthant}"
TESTS="${TESTS:-$(ls -t target/release/deps/cuda-* 2>/dev/null | grep -v '\.d$' | head -n 1 || true)}"
RESULTS="${RESULTS:-benches/RESULTS.md}"
PYTHON="${PYTHON:-python3}"
SHAPE="${SHAPE:-full}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
report="$work/report.md"
failed=0

section() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }
note() { printf '%s\n' "$1" | tee -a "$report"; }
check() { # name, command...
    local name="$1"
    shift
    if "$@"; then note "| $name | passed |"; else note "| $name | FAILED |"; failed=1; fi
}

for program in "$ORTHANT" "$TESTS"; do
    if [ ! -x "$program" ]; then
        echo "missing: '$program'. Build with 'cargo build --release --features cuda' and 'cargo test --release --features cuda --test cuda --no-run'," \
            "or give ORTHANT and TESTS." >&2
        exit 2
    fi
done

if [ "$DEVICE" = cpu ]; then
    card="CPU, $(nproc) cores (a trial of the script)"
    memory_gib=0
    export ORTHANT_DEVICE=cpu
else
    card="$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)"
    memory_gib="$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | head -n 1 | awk '{ print int($1 / 1024) }')"
fi
{
    printf '\n## GPU check, %s\n\n' "$(date -u +%Y-%m-%d)"
    printf 'Commit %s. %s. `DEVICE=%s tests/gpu/run.sh`.\n\n' "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$card" "$DEVICE"
    printf '| Check | Result |\n|---|---|\n'
} | tee "$report"

section "correctness: the device against the CPU"
correctness() {
    timeout 180 "$TESTS" --nocapture --test-threads 1 2>&1 | tee "$work/tests.txt" || return 1
    ! grep -q '^skipped' "$work/tests.txt"
}
check "operations, model, gradients, sampling, optimizer, resume" correctness
grep -E '^(model|F32|BF16)' "$work/tests.txt" | sed 's/^/    /' >"$work/differences.txt" || true

section "twenty steps of the bundled model"
training() {
    timeout 120 "$ORTHANT" run experiments/quickstart.ron --headless --json --out "$work/runs" --set "device=$device_ron" \
        --set stop.steps=20 --set 'evaluations=[]' --set fidelity=None >"$work/training.txt" || { tail -n 5 "$work/training.txt"; return 1; }
    tail -n 1 "$work/training.txt" | grep -q '"state":"finished","step":20,'
}
case "$DEVICE" in cpu) device_ron=Cpu ;; cuda:*) device_ron="Cuda(${DEVICE#cuda:})" ;; *) echo "DEVICE is cpu or cuda:N" >&2; exit 2 ;; esac
check "20 steps of experiments/quickstart.ron" training

section "memory: the same in the last steps as in the first"
# Peaks of the steps 3 and 20; on the CPU, what is resident.
memory() {
    local name=memory/gpu_peak_mib
    [ "$DEVICE" != cpu ] || name=memory/resident_mib
    awk -v name="\"$name\":" '
        { at = index($0, name); if (at) { value = substr($0, at + length(name)) + 0; n++; if (n == 3) early = value; late = value } }
        END { if (n < 20) exit 1; printf "%s: %.0f MiB in step 3, %.0f MiB in step 20\n", name, early, late; exit late > 1.1 * early }
    ' "$work"/runs/quickstart-*/metrics.jsonl
}
check "memory in step 20 within 1.1 of step 3" memory

section "speed"
if [ "$SHAPE" = small ]; then
    shape=(--hidden 64 --layers 2 --heads 4 --kv-heads 2 --head-dim 16 --intermediate 128 --vocab 512 --prompts 2 --group 4 --prompt-len 16 --new-tokens 16)
else
    # Qwen3-1.7B. The benchmark holds two runs, each with weights, masters, moments and gradients of its own: 2 x 34 GiB.
    layers=28
    [ "$memory_gib" -ge 120 ] || layers=10
    shape=(--hidden 2048 --layers "$layers" --heads 16 --kv-heads 8 --head-dim 128 --intermediate 6144 --vocab 151936
        --prompts 16 --group 16 --prompt-len 128 --new-tokens 256)
fi
dtype=bf16
speed() {
    local torch='import torch, transformers' kind=cpu
    [ "$DEVICE" = cpu ] || { torch="$torch; assert torch.cuda.is_available()" kind=cuda; }
    if "$PYTHON" -c "$torch" 2>/dev/null; then
        timeout 270 "$PYTHON" benches/pytorch.py --device "$kind" --dtype "$dtype" --repeat 1 --micro-batch 8 --orthant "$ORTHANT" "${shape[@]}" \
            >"$work/speed.txt"
    else
        echo "PyTorch for this device is not at hand; Orthant alone:" >"$work/speed.txt"
        timeout 200 "$ORTHANT" bench --device "$DEVICE" --dtype "$dtype" --repeat 2 "${shape[@]}" >>"$work/speed.txt"
    fi
    local status=$?
    cat "$work/speed.txt"
    return "$status"
}
check "benchmark: ${shape[*]}" speed

{
    printf '\nDifferences found and speed measured:\n\n'
    cat "$work/differences.txt"
    grep -v '^{' "$work/speed.txt" | sed 's/^/    /' || true
    printf '\nIn all %s seconds.\n' "$SECONDS"
} >>"$report"
cat "$report" >>"$RESULTS"
section "done; appended to $RESULTS"
exit "$failed"
