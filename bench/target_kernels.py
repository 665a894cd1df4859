#!/usr/bin/env python3
"""Prints the instructions that int8 layers take on Cortex-M, counted by QEMU.

Compiles bench/target_layers.c with arm-none-eabi-gcc and runs it under qemu-system-arm with
`-icount shift=0`, where an instruction takes a nanosecond of virtual time and a timer counts them.
Beside them stand the loads and multiply-add instructions that the inner loop of each layer cannot
do without. Instructions are not cycles: a load takes more than one of these on a Cortex-M4.

Usage: target_kernels.py [-O LEVEL] [CORE]...     default: -O 2 cortex-m4 cortex-m7
"""
import argparse
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "target"))
import targets  # noqa: E402


def print_core(core, level, folder):
    program = folder / core
    layers = pathlib.Path(__file__).resolve().parent / "target_layers.c"
    message = targets.build(core, [layers, *targets.KERNELS], program, [f"-O{level}"])
    if message:
        sys.exit(message)
    code, text = targets.execute(core, program)
    if code != 0:
        sys.exit(f"{core}: ended with {code}\n{text}")
    print(f"{core}, -O{level}: instructions for each multiply-add (or element)")
    print(f"  {'layer':26} {'multiply-adds':>13} {'instructions':>12} {'each':>6} "
          f"{'loads':>6} {'products':>8}")
    for line in text.splitlines():
        name, *numbers = line.split()
        macs, count, loads, products = map(int, numbers)
        least = f"{loads / 1000:6.2f} {products / 1000:8.2f}" if products else ""
        print(f"  {name:26} {macs:13} {count:12} {count / macs:6.2f} {least}")


def main():
    parser = argparse.ArgumentParser(description="instructions of int8 layers on Cortex-M")
    parser.add_argument("-O", dest="level", default="2")
    parser.add_argument("cores", nargs="*", default=["cortex-m4", "cortex-m7"])
    options = parser.parse_args()
    if not targets.has("arm-none-eabi-gcc", "qemu-system-arm"):
        sys.exit("needs arm-none-eabi-gcc and qemu-system-arm (packages.txt, [target])")
    with tempfile.TemporaryDirectory() as folder:
        for core in options.cores:
            print_core(core, options.level, pathlib.Path(folder))


if __name__ == "__main__":
    main()
