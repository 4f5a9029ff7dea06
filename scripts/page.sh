#!/usr/bin/env bash
# Builds the page from web/ into web/dist, where the binary takes it from; does nothing when no source of it has changed.
# Usage: scripts/page.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [ ! -f web/package.json ]; then
    exit 0
fi
# What was built is marked with the sum of what it was built from, the contract included.
mark="web/node_modules/.built-from"
sources() {
    local made=(-name node_modules -o -name dist -o -name test-results -o -name playwright-report -o -name coverage)
    find web proto scripts/page.sh scripts/compress.mjs \( "${made[@]}" \) -prune -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}
sum="$(sources)"
# A later index was built by hand, and is not compressed.
if [ -f web/dist/index.html ] && [ ! web/dist/index.html -nt "$mark" ] && [ "$(cat "$mark")" = "$sum" ]; then
    exit 0
fi
if [ ! -d web/node_modules ]; then
    echo "page.sh: the page's modules are missing: run scripts/setup.sh page" >&2
    exit 1
fi
echo "page: building web/ into web/dist" >&2
(cd web && npm run build --silent >&2)
if [ ! -f web/dist/index.html ]; then
    echo "page.sh: npm run build made no web/dist/index.html" >&2
    exit 1
fi
node scripts/compress.mjs web/dist
# Once more: a build may write what is generated.
sources >"$mark"
