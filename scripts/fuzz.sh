#!/usr/bin/env bash
# Runs every fuzz target for some seconds, two at a time, on stable Rust: the coverage that libFuzzer steers by comes
# from LLVM's own pass, so neither nightly nor cargo-fuzz is needed.
# Usage: scripts/fuzz.sh [SECONDS [TARGET...]]   SECONDS: of each target, 1 to 86,400; 20 when not said
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

seconds="${1:-20}"
shift || true
if ! [[ "$seconds" =~ ^[0-9]{1,5}$ ]] || [ "$seconds" -lt 1 ] || [ "$seconds" -gt 86400 ]; then
    echo "fuzz.sh: SECONDS must be 1 to 86400, not \"$seconds\"" >&2
    exit 2
fi
if [ ! -f fuzz/Cargo.toml ]; then
    echo "no fuzz/Cargo.toml: nothing to run"
    exit 0
fi

# Largest input, in bytes: above every bound of a message, so that the bounds themselves are tried.
MAX_LEN=300000
# One input that takes longer than this is a finding, in seconds.
INPUT_TIMEOUT=10
# More memory than this is a finding, in MiB.
RSS_LIMIT=1024
AT_ONCE=2

host="$(rustc -vV | sed -n 's/^host: //p')"
flags=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    --cfg fuzzing
    -Cdebug-assertions
)
# With --target the flags reach the targets and what they link, but no build script or macro.
RUSTFLAGS="${flags[*]}" cargo build --manifest-path fuzz/Cargo.toml --release --bins \
    --target "$host" --target-dir "$TARGET/fuzz"

if [ $# -gt 0 ]; then
    names=("$@")
else
    names=()
    for source in fuzz/fuzz_targets/*.rs; do names+=("$(basename "$source" .rs)"); done
fi

work="$(mktemp -d)"
# An interrupted run leaves no fuzzer behind: these are this script's own children.
trap 'jobs -p | xargs -r kill 2>/dev/null; rm -rf "$work"' EXIT

# fuzz_one NAME: runs a target on a copy of its seeds; its output goes to $work/NAME.log, its status to $work/NAME.rc.
fuzz_one() {
    local name="$1" status=0
    mkdir -p "$work/$name" "fuzz/artifacts/$name"
    if [ -d "fuzz/corpus/$name" ]; then cp -r "fuzz/corpus/$name/." "$work/$name/"; fi
    "$TARGET/fuzz/$host/release/$name" "$work/$name" -max_total_time="$seconds" -max_len=$MAX_LEN \
        -timeout=$INPUT_TIMEOUT -rss_limit_mb=$RSS_LIMIT -print_final_stats=1 \
        -artifact_prefix="fuzz/artifacts/$name/" >"$work/$name.log" 2>&1 || status=$?
    echo "$status" >"$work/$name.rc"
}

for name in "${names[@]}"; do
    while [ "$(jobs -pr | wc -l)" -ge $AT_ONCE ]; do wait -n || true; done
    fuzz_one "$name" &
done
wait

passed=0 failed=0
for name in "${names[@]}"; do
    log="$work/$name.log"
    if [ "$(cat "$work/$name.rc")" -eq 0 ]; then
        passed=$((passed + 1))
        runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
        reached="$(grep -oE 'cov: [0-9]+' "$log" | tail -1 || true)"
        printf 'ok      %-20s %10s inputs in %s s, %s\n' "$name" "${runs:-?}" "$seconds" "${reached:-cov: ?}"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$name"
        tail -40 "$log"
        artifact="$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)"
        if [ -n "$artifact" ]; then
            echo "again: $TARGET/fuzz/$host/release/$name $artifact"
            echo "then:  mend it, and keep the input as a test and in fuzz/corpus/$name"
        fi
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
