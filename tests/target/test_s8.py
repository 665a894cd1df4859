#!/usr/bin/env python3
"""The int8 kernels on their targets: each file compiles without a warning for every core, and the one
with intrinsics of hosts for theirs, as C99 and as C++11, and the kernels give the bytes that they
give on the host (s8_cases.c under QEMU).

Exits 77, which Meson counts as skipped, when a compiler or QEMU is missing and nothing else failed.
"""
import pathlib
import platform
import sys
import tempfile

import targets

HOST_SETS = [["-mavx2"], ["-mavx2", "-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq",
                          "-mavx512vnni"]]
# Code of the compiler's own in every function: in one of assembly it would destroy arguments.
GUARDED = ["-O2", "-fstack-protector-all", "-finstrument-functions"]
WARNINGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding"]


def compile_all(compiler, flags, output, kernels=tuple(targets.KERNELS)):
    good = True
    for kernel in kernels:
        for language in (["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++11"]):
            done = targets.run([compiler, *flags, *WARNINGS, *language, "-I",
                                str(targets.ROOT / "src"), "-c", str(kernel), "-o", str(output)])
            if done.returncode != 0:
                print(f"{kernel.name} {' '.join(flags)} {language[2]}:\n{done.stderr}")
                good = False
    return good


def host_text(folder):
    program = folder / "host"
    here = targets.HERE
    done = targets.run(["cc", "-O1", "-std=c99", "-I", str(targets.ROOT / "src"), "-I", str(here),
                        "-o", str(program), str(here / "start_host.c"), str(here / "s8_cases.c"),
                        *map(str, targets.KERNELS)])
    if done.returncode != 0:
        sys.exit(done.stderr)
    return targets.run([str(program)]).stdout


def same_bytes(core, options, expected, folder):
    program = folder / core
    level = " ".join(options)
    message = targets.build(core, [targets.HERE / "s8_cases.c", targets.HERE / "guards.c",
                                   *targets.KERNELS], program, options)
    code, text = (1, message) if message else targets.execute(core, program)
    if code == 0 and text == expected:
        print(f"{core} {level}: the bytes of the host")
        return True
    print(f"{core} {level}: ended with {code} and\n{text}expected\n{expected}")
    return False


def main():
    good, skipped = True, False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for flags in HOST_SETS if platform.machine() == "x86_64" else []:
            good &= compile_all("cc", flags, folder / "object.o",
                                [targets.ROOT / "src" / "kernels" / "mn_s8_conv.c"])
        if targets.has("arm-none-eabi-gcc"):
            for core, (flags, _, _) in targets.ARM.items():
                good &= compile_all("arm-none-eabi-gcc", [*flags, "-mthumb"], folder / "object.o")
        else:
            print("SKIPPED: no arm-none-eabi-gcc, nothing was compiled for Cortex-M")
            skipped = True
        if targets.has("riscv64-unknown-elf-gcc"):
            good &= compile_all("riscv64-unknown-elf-gcc", targets.RISCV, folder / "object.o")
        else:
            print("SKIPPED: no riscv64-unknown-elf-gcc, nothing was compiled for RISC-V")
            skipped = True
        if targets.has("arm-none-eabi-gcc", "qemu-system-arm"):
            expected = host_text(folder)
            for core in targets.ARM:
                good &= same_bytes(core, ["-O2"], expected, folder)
            good &= same_bytes("cortex-m4", ["-O0"], expected, folder)
            good &= same_bytes("cortex-m4", GUARDED, expected, folder)
        else:
            print("SKIPPED: no qemu-system-arm, nothing was run on a target")
            skipped = True
    sys.exit(1 if not good else 77 if skipped else 0)


if __name__ == "__main__":
    main()
