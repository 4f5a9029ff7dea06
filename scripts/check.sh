#!/usr/bin/env bash
# Runs checks one after the other, each under its heading, all of them even when one fails; ends with what each came to
# and the counts of all. Exits non-zero when any failed.
# Usage: scripts/check.sh CHECK...   or one of the sets: lint, test
# shellcheck disable=SC2317 # the checks are called by their names
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

LINT=(proto format clippy dependencies scripts)
TEST=(page rust browser doc loom fuzz python)
FUZZ_SECONDS="${FUZZ_SECONDS:-20}"

check_proto() { buf lint proto; }

check_format() {
    cargo fmt --all --check
    if [ -f fuzz/Cargo.toml ]; then cargo fmt --manifest-path fuzz/Cargo.toml --check; fi
}

check_clippy() { cargo clippy --locked --all-targets -- -D warnings; }

check_dependencies() { cargo-deny --locked check --hide-inclusion-graph bans licenses sources; }

check_scripts() {
    local scripts=(scripts/*.sh .ci/run)
    for script in "${scripts[@]}"; do bash -n "$script"; done
    if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR "${scripts[@]}"; fi
}

check_rust() { cargo nextest run --locked --cargo-profile ci --profile ci; }

# The page's plain code; what it does in a browser is `browser`.
check_page() {
    if [ ! -f web/package.json ]; then
        echo "no web: nothing to run"
        return
    fi
    (cd web && npm test --silent)
}

# The binary that the Rust tests ran, for who speaks to it from outside.
tested_binary() {
    cargo test --locked --profile ci --no-run --test it
    HIGHWATER_BIN="$TARGET/ci/highwater"
    export HIGHWATER_BIN
}

# The page in a browser. A build that is not optimized at all answers a week too slowly for a person's patience, which is
# what the page's timeouts are.
check_browser() {
    if [ ! -f web/package.json ]; then
        echo "no web: nothing to run"
        return
    fi
    tested_binary
    (cd web && npm run --silent e2e)
}

check_doc() { cargo test --locked --profile ci --doc; }

check_loom() {
    LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
        cargo test --locked --profile ci --features loom --lib loom
}

check_fuzz() { scripts/fuzz.sh "$FUZZ_SECONDS"; }

check_python() {
    if [ ! -f "$PYTHON_TESTS" ]; then
        echo "no clients/python: nothing to run"
        return
    fi
    tested_binary
    "$PYTHON" -m pytest clients/python -q
}

# tally FILE: adds what the test runners' closing lines in FILE count to passed, failed and skipped.
passed=0 failed=0 skipped=0 failed_before=0
tally() {
    local found
    # nextest: "5 tests run: 4 passed (1 slow), 1 failed, 2 skipped"; cargo test: "ok. 3 passed; 0 failed; 1 ignored";
    # pytest: "1 failed, 2 passed, 1 skipped in 3.10s"; fuzz.sh: "fuzz: 3 passed, 0 failed"; Playwright, a line each:
    # "  2 failed", "  1 skipped", "  3 did not run", "  35 passed (2.1m)".
    found="$(sed 's/\x1b\[[0-9;]*m//g' "$1" |
        grep -E '^ +Summary \[|^test result: |^(=+ )?[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s|^fuzz: [0-9]+ passed|^  [0-9]+ (passed|failed|skipped|interrupted|did not run)( \([0-9.]+(ms|s|m|h)\))?$' |
        grep -oE '[0-9]+ (passed|failed|timed out|errors?|skipped|ignored|interrupted|did not run)' || true)"
    passed=$((passed + $(sum "$found" 'passed')))
    failed=$((failed + $(sum "$found" 'failed|timed out|errors?|interrupted|did not run')))
    skipped=$((skipped + $(sum "$found" 'skipped|ignored')))
}
sum() { awk -v what="^($2)\$" '{ n = $1; $1 = ""; sub(/^ /, ""); if ($0 ~ what) s += n } END { print s + 0 }' <<<"$1"; }

checks=()
for name in "$@"; do
    case "$name" in
        lint) checks+=("${LINT[@]}") ;;
        test) checks+=("${LINT[@]}" "${TEST[@]}") ;;
        *)
            if ! declare -F "check_$name" >/dev/null; then
                echo "check.sh: unknown check: $name (lint, test, ${LINT[*]} ${TEST[*]})" >&2
                exit 2
            fi
            checks+=("$name")
            ;;
    esac
done

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
results=() broken=0
[ -t 1 ] && export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-always}"
for name in "${checks[@]}"; do
    printf '\n==== %s ====\n' "$name"
    began=$SECONDS
    failed_before=$failed
    # A subshell with its own `set -e`, since a function tested by `if` would run on past a failing command.
    set +e
    (
        set -e
        "check_$name"
    ) 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    set -e
    tally "$log"
    if [ "$status" -eq 0 ]; then
        # A lint that passes counts as one; a test runner has counted its tests.
        if [[ " ${LINT[*]} page " == *" $name "* ]]; then passed=$((passed + 1)); fi
        results+=("$(printf '%-14s ok      %4d s' "$name" $((SECONDS - began)))")
    else
        broken=1
        if [ "$failed" -eq "$failed_before" ]; then failed=$((failed + 1)); fi
        results+=("$(printf '%-14s FAILED  %4d s' "$name" $((SECONDS - began)))")
    fi
done

printf '\n==== summary ====\n'
printf '%s\n' "${results[@]}"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
exit "$broken"
