#!/usr/bin/env bash
# Checks and measures Orthant on one GPU, in two stages; see README.md beside it.
#
#   tests/gpu/bringup.sh 1                  correctness, everything at once; about three minutes
#   tests/gpu/bringup.sh 2                  numbers, one after another; about four minutes
#   DEVICE=cpu tests/gpu/bringup.sh 1       the same parts, small and one after another, where there is no GPU
#
# Every part has a time limit of its own, and a failure stops nothing. The last lines are a table; it and the logs of all parts are
# in $OUT. The status is 1 where a part failed. No setting of the card is changed.
set -u
STAGE="${1:-}"
case "$STAGE" in 1 | 2) ;; *) echo "usage: tests/gpu/bringup.sh 1|2" >&2; exit 2 ;; esac
cd "$(dirname "$0")/../.."

DEVICE="${DEVICE:-cuda:0}"
ORTHANT="${ORTHANT:-target/release/orthant}"
TESTS="${TESTS:-$(ls -t target/release/deps/cuda-* 2>/dev/null | grep -v '\.d$' | head -n 1)}"
PYTHON="${PYTHON:-python3}"
OUT="${OUT:-$(mktemp -d)}"
case "$DEVICE" in
    cpu) setting=Cpu kind=cpu trial=yes ;;
    cuda:*) setting="Cuda(${DEVICE#cuda:})" kind=cuda trial= ;;
    *) echo "DEVICE is cpu or cuda:N" >&2; exit 2 ;;
esac

work="$(mktemp -d)"
logs="$OUT/logs"
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.status
trap 'rm -rf "$work"' EXIT
trap 'exit 124' TERM INT
export CUDA_CACHE_PATH="$work/cache" PYTHONUNBUFFERED=1 RUST_BACKTRACE=1 HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
SECONDS=0

# --- parts ----------------------------------------------------------------------------------------------------------------------

# part NAME SECONDS COMMAND...: runs it within the limit; a trial has ten times as long. Never fails.
part() {
    local name="$1" limit="$2" start=$SECONDS
    shift 2
    [ -z "$trial" ] || limit=$((10 * limit))
    timeout -k 5 "$limit" "$@" >"$logs/$name.log" 2>&1
    local status=$?
    echo "$status $((SECONDS - start))" >"$logs/$name.status"
    printf '%4ss  %-40s status %-3s %ss\n' "$SECONDS" "$name" "$status" "$((SECONDS - start))"
}

# The same beside others, until `all_done`; in a trial by itself.
started=()
beside() {
    if [ -n "$trial" ]; then
        part "$@"
    else
        part "$@" &
        started+=($!)
    fi
}
all_done() {
    [ "${#started[@]}" -eq 0 ] || wait "${started[@]}"
    started=()
}

passed() { [ "$(cut -d' ' -f1 "$logs/$1.status" 2>/dev/null)" = 0 ]; }

# --- what is here ---------------------------------------------------------------------------------------------------------------

# Programs may be packed, because those that are sent somewhere are large.
unpacked() { # file
    local to="$work/$(basename "${1%.xz}")"
    case "$1" in
        *.xz) "$PYTHON" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$1" "$to" ;;
        *) cp "$1" "$to" ;;
    esac && chmod +x "$to" && echo "$to"
}
for program in "$ORTHANT" "$TESTS"; do
    if [ ! -f "$program" ]; then
        echo "missing: '$program'. Build with 'cargo build --release --features cuda' and 'cargo test --release --features cuda" \
            "--test cuda --no-run', or give ORTHANT and TESTS." >&2
        exit 2
    fi
done
ORTHANT="$(unpacked "$ORTHANT")" && TESTS="$(unpacked "$TESTS")" || exit 2

# PyTorch's packages have the libraries of the toolkit, too.
site="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)"
for folder in "$site"/nvidia/cu13/lib "$site"/nvidia/*/lib /usr/local/cuda*/lib64; do
    [ -z "$trial" ] && [ -d "$folder" ] && LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}"
torch=
if "$PYTHON" -c 'import torch' 2>/dev/null; then torch=yes; else echo "PyTorch is not here; its parts are left out"; fi
sanitizer="$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)"

card="CPU, $(nproc) cores (a trial of the script)"
memory=0
if [ -z "$trial" ]; then
    card="$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)"
    memory="$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | head -n 1)"
fi
{
    echo "$card"
    nproc
    free -g
    "$PYTHON" --version
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
    ldd "$ORTHANT" | grep -E 'not found|cuda|cublas|curand|nvrtc'
} >"$logs/machine.log" 2>&1
echo "$card"
grep 'not found' "$logs/machine.log"
[ -z "$trial" ] || export ORTHANT_DEVICE=cpu

kernels=("$PYTHON" tests/gpu/kernels.py)
[ -z "$trial" ] || kernels+=(--emulate)
groups="norms rotary rows gated nf4 finite optimizer token_head head truncated attention decode layer"

# Small enough for the sanitizer; heads and their groups are those of Qwen3-1.7B, so that kernels run in its variants. In `tiny` a
# prompt and its responses have more than 1024 tokens, from where on attention adds up their gradients in parts; in `few` the rows are
# so few and long that while decoding each is divided among several blocks.
sizes=(bench --device "$DEVICE" --hidden 256 --layers 2 --heads 4 --kv-heads 2 --head-dim 128 --intermediate 384 --vocab 1300
    --repeat 1 --json)
tiny=("${sizes[@]}" --prompts 2 --group 36 --prompt-len 70 --new-tokens 30)
few=("${sizes[@]}" --prompts 1 --group 2 --prompt-len 20 --new-tokens 160)

# --- stage 1: correctness -------------------------------------------------------------------------------------------------------

# Twenty steps of the bundled model; memory in the last is that of the third.
training() { # precision
    local runs="$work/runs_$1" name=memory/gpu_peak_mib
    [ -z "$trial" ] || name=memory/resident_mib
    "$ORTHANT" run experiments/quickstart.ron --headless --json --out "$runs" --set "device=$setting" --set "precision=$1" \
        --set stop.steps=20 --set 'evaluations=[]' --set fidelity=None | tail -n 1 | tee "$work/last_$1" || return 1
    grep -q '"state":"finished","step":20,' "$work/last_$1" || return 1
    awk -v name="\"$name\":" '
        { at = index($0, name); if (at) { value = substr($0, at + length(name)) + 0; n++; if (n == 3) early = value; late = value } }
        END { if (n < 20) exit 1; printf "%s %.0f MiB in step 3, %.0f MiB in step 20\n", name, early, late; exit late > 1.1 * early }
    ' "$runs"/quickstart-*/metrics.jsonl
}
export -f training
export ORTHANT work setting trial

correctness() {
    local name tool group precision extra=()
    part doctor 30 "$ORTHANT" doctor
    for precision in bf16 f32; do
        beside "tiny_$precision" 110 "$ORTHANT" "${tiny[@]}" --dtype "$precision"
        beside "tiny_few_$precision" 110 "$ORTHANT" "${few[@]}" --dtype "$precision"
    done
    if [ -n "$torch" ]; then
        for group in $groups; do
            # An error of a kernel spoils all that follows in its process, so each group has one of its own.
            for precision in bf16 f32; do
                beside "kernels_${group}_$precision" 110 "${kernels[@]}" --only "$group" --types "$precision"
            done
        done
    fi
    local tests
    tests="$("$TESTS" --list | sed -n 's/: test$//p')"
    for name in $tests; do beside "test_$name" 120 "$TESTS" --exact "$name" --nocapture --test-threads 1; done
    for precision in F32 Bf16; do beside "training_$precision" 110 bash -c "training $precision"; done
    if [ -n "$sanitizer" ] && [ -z "$trial" ]; then
        for tool in memcheck racecheck initcheck synccheck; do
            [ "$tool" != memcheck ] || extra=(--track-stream-ordered-races all)
            beside "sanitizer_$tool" 115 "$sanitizer" --tool "$tool" "${extra[@]}" --print-limit 20 --error-exitcode 77 \
                "$ORTHANT" "${tiny[@]}" --dtype bf16
            extra=()
        done
        beside sanitizer_memcheck_few 115 "$sanitizer" --tool memcheck --print-limit 20 --error-exitcode 77 \
            "$ORTHANT" "${few[@]}" --dtype bf16
    fi
    all_done
    # What failed once more: one launch at a time, and under the memory checker.
    for name in $tests; do
        passed "test_$name" && continue
        beside "again_$name" 40 env CUDA_LAUNCH_BLOCKING=1 "$TESTS" --exact "$name" --nocapture --test-threads 1
        [ -z "$sanitizer" ] || beside "memcheck_$name" 45 "$sanitizer" --tool memcheck --print-limit 10 \
            "$TESTS" --exact "$name" --nocapture --test-threads 1
    done
    passed tiny_bf16 || beside again_tiny_bf16 50 env CUDA_LAUNCH_BLOCKING=1 "$ORTHANT" "${tiny[@]}" --dtype bf16
    all_done
}

# --- stage 2: numbers -----------------------------------------------------------------------------------------------------------

numbers() {
    local shape name
    if [ -n "$trial" ]; then
        shape=(--hidden 64 --layers 2 --heads 4 --kv-heads 2 --head-dim 16 --intermediate 128 --vocab 512 --prompts 2 --group 4
            --prompt-len 16 --new-tokens 16)
    else
        # Qwen3-1.7B. Two runs are held at a time, with 20 bytes for a parameter each: 105 GiB for all 28 layers.
        local layers=28
        [ "$memory" -ge 120000 ] || layers=14
        shape=(--hidden 2048 --layers "${LAYERS:-$layers}" --heads 16 --kv-heads 8 --head-dim 128 --intermediate 6144
            --vocab 151936 --prompts 16 --group 16 --prompt-len 128 --new-tokens "${NEW_TOKENS:-256}")
    fi
    part orthant 110 "$ORTHANT" bench --device "$DEVICE" --dtype bf16 --repeat 1 "${shape[@]}"
    if [ -n "$torch" ]; then
        export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
        for name in generate update $([ -n "$trial" ] || echo product); do
            part "torch_$name" 60 "$PYTHON" benches/pytorch.py --device "$kind" --dtype bf16 --repeat 1 --micro-batch 8 --threads 8 \
                "${shape[@]}" --part "$name"
        done
        [ -n "$trial" ] || part times 110 "${kernels[@]}" --time --types bf16
    fi
}

# --- the table ------------------------------------------------------------------------------------------------------------------

# The line of a part's log that says most.
gist() {
    local log="$logs/$1.log"
    case "$1" in
        kernels_* | times)
            printf '%s ok, %s failed; ' "$(grep -c '^ok' "$log")" "$(grep -c '^FAIL' "$log")"
            grep -q '^ok\|^FAIL' "$log" && grep -m 1 '^FAIL' "$log" || tail -n 1 "$log"
            ;;
        test_* | again_* | memcheck_*) grep -m 1 -aE 'panicked at|DriverError|Invalid |error:' -A 1 "$log" || grep -aE '^test result|^skipped' "$log" ;;
        sanitizer_*) grep -aE 'ERROR SUMMARY|RACECHECK SUMMARY' "$log"; grep -m 1 -aE 'Invalid|Race reported|Uninitialized|Barrier error' "$log" ;;
        tiny_*) tail -n 1 "$log" | sed 's/.*"step_grpo_s"/"step_grpo_s"/' ;;
        *) tail -n 1 "$log" ;;
    esac | tr -s ' =\n' ' ' | cut -c 1-110
}

table() {
    local file name status seconds
    echo "== stage $STAGE on $DEVICE: $card, commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $SECONDS s"
    cat "$logs"/test_*.log 2>/dev/null | grep -aE '^(F32|BF16|model|[a-z_ ]+, (F32|BF16):|attention with)' | cut -c 1-110
    for file in "$logs"/*.status; do
        name="$(basename "$file" .status)"
        read -r status seconds <"$file"
        [ "$status" = 0 ] && status=passed || status="FAILED $status"
        # A test that found no device has tested nothing.
        ! grep -qs '^skipped' "$logs/$name.log" || status=SKIPPED
        printf '%-44s %-10s %4ss  %s\n' "$name" "$status" "$seconds" "$(gist "$name")"
    done
    ! [ -f "$logs/times.log" ] || grep '^time' "$logs/times.log"
    ! [ -f "$logs/orthant.log" ] || tail -n 8 "$logs/orthant.log"
}

if [ "$STAGE" = 1 ]; then correctness; else numbers; fi
table | tee "$OUT/table_$STAGE.txt"
echo "table and logs are in $OUT"
! grep -qE '^[a-zA-Z0-9_]+ +(FAILED|SKIPPED)' "$OUT/table_$STAGE.txt"
