#!/bin/sh
# Formats every C file by .clang-format; with --check only says what differs.
set -eu
cd "$(dirname "$0")/.."
how=-i
if [ "${1:-}" = --check ]; then
    how="--dry-run -Werror"
fi
find include src cli tests bench tools -name '*.[ch]' -print0 | xargs -0 clang-format-14 $how
