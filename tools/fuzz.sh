#!/bin/sh
# Builds the fuzz targets (clang, libFuzzer, sanitizers) and runs each for a while. What they find
# to be new stays in build-fuzz/corpus; an input that breaks a parser is build-fuzz/crash-*.
# Usage: tools/fuzz.sh [SECONDS]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}

tools/packages.sh build check
CC=clang-14 tools/build.sh build-fuzz fuzzers -Dfuzz=true
python3 tests/fuzz/make_seeds.py build-fuzz/seeds

failed=0
ran=0
for program in build-fuzz/tests/fuzz/fuzz_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    corpus=build-fuzz/corpus/$name
    mkdir -p "$corpus"
    set -- "$corpus"
    # An input of `emit` is compiled: reading a corpus again would take longer than the time given.
    [ "$name" != emit ] || rm -f "$corpus"/*
    for seeds in "build-fuzz/seeds/$name" "tests/fuzz/corpus/$name"; do
        [ ! -d "$seeds" ] || set -- "$@" "$seeds"
    done
    log=build-fuzz/$name.log
    ran=$((ran + 1))
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix=build-fuzz/ "$@" >"$log" 2>&1; then
        echo "fuzz $name: $(grep '^Done ' "$log" || tail -n 1 "$log")"
    else
        failed=1
        echo "fuzz $name: FAILED" >&2
        tail -n 40 "$log" >&2
    fi
done
[ "$ran" -gt 0 ] || { echo "no fuzz target was built" >&2; exit 1; }
exit $failed
