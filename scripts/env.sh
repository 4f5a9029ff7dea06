# What every script shares; sourced, never run.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

TOOLS="$ROOT/.tools"
case "$(uname -m)" in
    aarch64 | arm64) BUF_BIN="$TOOLS/buf/node_modules/@bufbuild/buf-linux-aarch64/bin" ;;
    *) BUF_BIN="$TOOLS/buf/node_modules/@bufbuild/buf-linux-x64/bin" ;;
esac
PYTHON="$TOOLS/venv/bin/python"
PYTHON_TESTS="$ROOT/clients/python/requirements-test.txt"
TARGET="${CARGO_TARGET_DIR:-target}"
[[ "$TARGET" = /* ]] || TARGET="$ROOT/$TARGET"
# What the machine has goes first, what setup.sh brought fills the gaps.
export PATH="$PATH:$TOOLS/bin:$TOOLS/venv/bin:$BUF_BIN"
