#!/bin/sh
# Configures a build tree (again, when it exists: options may differ) and builds a target in it.
# Usage: tools/build.sh FOLDER TARGET [MESON OPTION]...     TARGET: "all", or one that ninja knows
set -eu
cd "$(dirname "$0")/.."
tree=$1
target=$2
shift 2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
again=
if [ -f "$tree/build.ninja" ]; then
    again=--reconfigure
fi
if ! meson setup $again "$tree" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
ninja -C "$tree" "$target"
