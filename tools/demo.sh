#!/bin/sh
# The main job, end to end: searches an int8 network for Fashion-MNIST under 64 KiB, reads the test
# set once, exports it as C, compiles that with the system's compiler, runs it on all test images,
# and prints what was promised beside what was measured; where QEMU and a cross compiler are
# installed it also runs as firmware. Everything lies in build/demo; run again, the search goes on
# from there (remove the folder to start afresh).
set -eu
cd "$(dirname "$0")/.."

memnet=build/memnet
demo=build/demo
data=/usr/share/datasets/fashion-mnist
budget=65536
compiler=${CC:-cc}

mkdir -p "$demo"
"$memnet" search --data fashion-mnist --memory 64K --time "${DEMO_TIME:-9m}" --study "$demo/study"

model=$demo/study/best/model.safetensors
"$memnet" eval "$model" --data fashion-mnist --predictions "$demo/memnet.txt" --json >"$demo/eval.json"
"$memnet" memory "$model" --json >"$demo/memory.json"
"$memnet" export "$model" --format c --out "$demo/export" --force

# The exported folder compiles as it is; no flag is needed, these only ask for every warning.
"$compiler" -O2 -std=c99 -Wall -Wextra -Wpedantic "$demo"/export/*.c -o "$demo/classify"
"$compiler" -O2 -std=c99 -c "$demo/export/model.c" -o "$demo/model.o"

# Raw images for the compiled program: the IDX files without their headers (16 and 8 bytes).
gunzip -c "$data/t10k-images-idx3-ubyte.gz" | tail -c +17 >"$demo/test.raw"
gunzip -c "$data/t10k-labels-idx1-ubyte.gz" | tail -c +9 | od -An -v -t u1 -w1 >"$demo/labels.txt"
"$demo/classify" -q "$demo/test.raw" >"$demo/compiled.txt"

number() { # number KEY FILE: a number of a JSON object
    sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" "$2" | head -n 1
}
constant() { # constant NAME: a number that model.h defines
    sed -n "s/^#define $1 *(*\([0-9]*\).*/\1/p" "$demo/export/model.h"
}

weights=$(number weights_bytes "$demo/memory.json")
arena=$(number arena_bytes "$demo/memory.json")
accuracy=$(number accuracy "$demo/eval.json")
symbol=$(printf '%d' "0x$(nm -S "$demo/model.o" | awk '$NF == "memnet_arena" { print $2 }')")
compiled=$(paste "$demo/labels.txt" "$demo/compiled.txt" |
    awk '$1 == $2 { good++ } END { printf "%.2f", 100 * good / NR }')
agreement=$(paste "$demo/memnet.txt" "$demo/compiled.txt" |
    awk '$1 == $2 { same++ } END { printf "%d of %d", same, NR }')

printf '\n'
printf '%-36s %10d bytes\n' 'budget' "$budget"
printf '%-36s %10d bytes\n' 'weights' "$weights"
printf '%-36s %10d bytes\n' 'arena' "$arena"
printf '%-36s %10d bytes\n' 'arena in model.h' "$(constant MODEL_ARENA_BYTES)"
printf '%-36s %10d bytes\n' 'arena in the compiled object (nm -S)' "$symbol"
printf '%-36s %10d bytes\n' 'total' "$((weights + arena))"
printf '%-36s %10.2f %%\n' 'test accuracy, memnet int8' "$accuracy"
printf '%-36s %10.2f %%\n' 'test accuracy, compiled C' "$compiled"
printf '%-36s %s test images\n' 'same prediction' "$agreement"

promised="$arena bytes, arena $arena, $(wc -l <"$demo/labels.txt") of $(wc -l <"$demo/labels.txt")"
found="$(constant MODEL_ARENA_BYTES) bytes, arena $symbol, $agreement"
if [ "$found" != "$promised" ] || [ "$((weights + arena))" -gt "$budget" ]; then
    echo "demo: the exported code is not what was planned" >&2
    exit 1
fi

if command -v qemu-system-arm >/dev/null && command -v arm-none-eabi-g++ >/dev/null; then
    printf '\nas firmware on an emulated board, RAM of exactly arena and stack, every output byte compared:\n'
    python3 tests/target/run_targets.py --export --raw "$demo/test.raw" --images 200 \
        --target cortex-m4 "$demo/export"
else
    printf '\nnot run as firmware: tools/packages.sh target installs QEMU and the cross compilers\n'
fi
printf '\nThe C code is in %s/export, the network in %s/study/best.\n' "$demo" "$demo"
