#!/usr/bin/env bash
# Runs the benchmarks, and puts the tables of four of them into docs/benchmarks.md: between the lines
# "<!-- begin NAME -->" and "<!-- end NAME -->".
# Usage: scripts/bench.sh [NAME...]   NAME: core side_by_side quick history redis_store metrics access alerts routes
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

PAGE="$ROOT/docs/benchmarks.md"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# put NAME FILE: FILE becomes what stands between the marks of NAME.
put() {
    awk -v name="$1" -v file="$2" '
        $0 == "<!-- end " name " -->" { while ((getline line < file) > 0) print line; inside = 0 }
        !inside { print }
        $0 == "<!-- begin " name " -->" { inside = 1 }
    ' "$PAGE" >"$work/page"
    cat "$work/page" >"$PAGE"
}

# Criterion tells "test GROUP/CASE ... bench: 1,234 ns/iter (+/- 56)".
core_table() {
    printf '| what | case | ns | +/- |\n|---|---|---:|---:|\n'
    sed -nE 's|^test ([^/]+)/(.+) \.\.\. bench: +([0-9,]+) ns/iter \(\+/- ([0-9,]+)\)$|\| \1 \| \2 \| \3 \| \4 \||p' "$1"
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(core side_by_side quick history redis_store metrics access alerts routes)
for name in "${names[@]}"; do
    case "$name" in
        core)
            cargo bench --locked --bench core -- --output-format bencher | tee "$work/core"
            core_table "$work/core" >"$work/table"
            put core "$work/table"
            ;;
        side_by_side)
            HIGHWATER_BENCH_MARKDOWN="$work/table" cargo bench --locked --bench side_by_side
            put side_by_side "$work/table"
            ;;
        quick)
            printf '| what | median | slowest | goal |\n|---|---:|---:|---:|\n' >"$work/table"
            for part in start query; do
                HIGHWATER_BENCH_MARKDOWN="$work/rows" cargo bench --locked --bench "$part"
                cat "$work/rows" >>"$work/table"
            done
            put quick "$work/table"
            ;;
        redis_store)
            HIGHWATER_BENCH_MARKDOWN="$work/table" cargo bench --locked --bench redis_store
            put redis_store "$work/table"
            ;;
        *) cargo bench --locked --bench "$name" ;;
    esac
done
