#!/bin/sh
# Installs the Debian packages of the named sections of packages.txt that are missing.
# Usage: tools/packages.sh SECTION...
set -eu
cd "$(dirname "$0")/.."

# The packages of one section, one a line; an unknown section is a mistake of the caller.
section() {
    grep -qx "\[$1\]" packages.txt || { echo "packages.txt has no section [$1]" >&2; return 1; }
    awk -v wanted="[$1]" '/^\[/ { inside = ($0 == wanted); next }
                          inside && NF && !/^#/ { print $1 }' packages.txt
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

wanted=
for name in "$@"; do
    listed=$(section "$name")
    wanted="$wanted $listed"
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "No apt here. memnet needs the equivalents of these Debian packages:" $wanted
    exit 0
fi

missing=
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages, and no sudo to install them. As root: apt-get install$missing" >&2
        exit 1
    fi
    as_root="sudo"
fi
echo "Installing:$missing"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing
