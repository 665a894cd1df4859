#!/bin/sh
# Everything that judges the sources without running them. Each check runs, whatever the others
# say; exits 1 when one of them found something.
set -u
cd "$(dirname "$0")/.."
tools/packages.sh build check || exit 1

status=0
check() {
    echo "lint: $1"
    shift
    "$@" || status=1
}

format() {
    tools/format.sh --check
}

# Compiles everything, unoptimised: clang's warnings do not need more. Its compile_commands.json is
# what clang-tidy goes by.
clang_build() {
    CC=clang-14 tools/build.sh build-clang all -Dtests=enabled -Dwerror=true -Doptimization=0 \
        -Ddebug=false >build-clang.log 2>&1 &&
        rm build-clang.log && return
    grep -iE -A4 'error|warning' build-clang.log | head -60 | grep . || tail -n 20 build-clang.log
    rm build-clang.log
    return 1
}

# One file a process: with several, the analyser of clang 14 takes va_lists for uninitialised.
# status.c defines what tools/analyser.h redefines; the example and the boards' probe need an
# exported model beside them; start_arm.c and guards.c are of another processor.
tidy() {
    [ -f build-clang/compile_commands.json ] || {
        echo "clang-tidy: no build-clang/compile_commands.json"
        return 1
    }
    find src cli bench tests -name '*.c' ! -path src/emit/example/main.c ! -path src/base/status.c \
        ! -path tests/target/start_arm.c ! -path tests/target/guards.c \
        ! -path 'tests/fuzz/*' ! -path 'tests/target/board/*' -print0 |
        xargs -0 -P2 -n1 clang-tidy-14 -p build-clang --quiet --warnings-as-errors='*' \
            --extra-arg="-include$PWD/tools/analyser.h" 2>/dev/null &&
        clang-tidy-14 -p build-clang --quiet --warnings-as-errors='*' src/base/status.c 2>/dev/null
}

# Uninitialised variables are left to two compilers and the analyser: cppcheck 2.10 takes every
# array that a loop or a callee fills for one.
cpp_check() {
    cppcheck --quiet -j2 --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppress=uninitvar --suppress=legacyUninitvar --error-exitcode=1 \
        -D_GNU_SOURCE -Iinclude -Isrc src cli bench
}

check "clang-format" format
check "includes" python3 tests/check_floors.py .
check "clang -Werror" clang_build
check "cppcheck" cpp_check
check "clang-tidy" tidy
exit $status
