#!/bin/sh
# Builds two trees and runs the suite in both: release, and under AddressSanitizer and
# UndefinedBehaviorSanitizer (where the tests of the whole program and of the sources are left out:
# they have nothing to gain). Closes with one line, "N passed, N failed".
# Tests of the suite `target` need more packages (tools/packages.sh target) and are skipped without.
# MEMNET_DATA names a folder with more data sets; tests that need it are skipped without it.
set -u
cd "$(dirname "$0")/.."

strict=
if [ -n "${CI:-}" ]; then
    strict=-Dwerror=true
fi
# Threads that wait sleep: spinning ones collapse where tests share the cores.
export OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

status=0
tools/packages.sh build check || exit 1

# run_suite TREE [meson test option]...: stale logs must not be counted.
run_suite() {
    tree=$1
    shift
    rm -f "$tree/meson-logs/testlog.json"
    meson test -C "$tree" --no-rebuild --num-processes 2 --print-errorlogs "$@" || status=1
}

tools/build.sh build all --buildtype=release -Dtests=enabled $strict || exit 1
run_suite build
tools/build.sh build-asan all --buildtype=debugoptimized -Dtests=enabled \
    -Db_sanitize=address,undefined -Db_lundef=false $strict || exit 1
run_suite build-asan --no-suite e2e --no-suite house --no-suite target --timeout-multiplier 3

python3 tools/count_tests.py build build-asan || status=1
exit $status
