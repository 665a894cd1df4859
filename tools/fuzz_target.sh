#!/bin/sh
# Runs one fuzz target for a while; its words go to its log, the end of a failure's to the terminal.
# Usage: tools/fuzz_target.sh SECONDS PROGRAM     (from the root of the sources)
set -eu
seconds=$1
program=$2
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
if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix=build-fuzz/ "$@" >"$log" 2>&1; then
    echo "fuzz $name: $(grep '^Done ' "$log" || tail -n 1 "$log")"
else
    echo "fuzz $name: FAILED" >&2
    tail -n 40 "$log" >&2
    exit 1
fi
