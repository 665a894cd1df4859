#!/bin/sh
# Builds the fuzz targets (clang, libFuzzer, sanitizers) and runs each for a while, two at a time.
# What they find to be new stays in build-fuzz/corpus; an input that breaks a parser is
# build-fuzz/crash-*. Usage: tools/fuzz.sh [SECONDS]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}

tools/packages.sh build check
CC=clang-14 tools/build.sh build-fuzz fuzzers -Dfuzz=true
python3 tests/fuzz/make_seeds.py build-fuzz/seeds

targets=$(find build-fuzz/tests/fuzz -name 'fuzz_*' -type f -perm -u+x | sort)
[ -n "$targets" ] || { echo "no fuzz target was built" >&2; exit 1; }
echo "$targets" | xargs -P2 -n1 tools/fuzz_target.sh "$seconds"
