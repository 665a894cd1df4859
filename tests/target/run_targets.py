#!/usr/bin/env python3
"""Exported code on emulated microcontrollers.

Usage: run_targets.py [options] NETWORK...

NETWORK is the program target_network, which makes an export and says what it has to compute; or,
with --export, a folder that `memnet export` wrote, for which the same code on this machine says it.

For every target the export is compiled with all warnings as errors, as C99 and as C++11; the compiled
tables, arena and sections must have the sizes that model.h states; it is linked into RAM of exactly
the arena and the stack; with one byte less of RAM the link has to fail; and it runs under QEMU
on the images, where every output is compared: int8 byte by byte, float32 within a tolerance.
Targets run side by side, one a processor. Exits 77 when a tool is missing, after all that can be
done was done.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

BOARD = pathlib.Path(__file__).resolve().parent / "board"

# The stack of the whole probe: network, print-out and semihosting, which has its arguments there.
# What is used of it is measured; MVE code of the Cortex-M55 needs the most, more than 1024.
STACK_BYTES = 2048
TOLERANCE = 1e-4  # float32, relative to 1 + |score|
FLASH_BYTES = 0x80000
CODE_BYTES = 0x10000  # of the probe at most; tables and images have the rest of the flash

WARNINGS = ("-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wdouble-promotion -Wshadow "
            "-Wundef -Wpointer-arith -Wcast-align -Wcast-qual -Wwrite-strings -Werror").split()
# The code has no C library to lean on.
FLAGS = "-O2 -ffreestanding -ffunction-sections -fdata-sections".split()

Target = collections.namedtuple("Target", "name prefix cpu qemu machine flash ram")
ARM, RISCV = "arm-none-eabi-", "riscv64-unknown-elf-"
TARGETS = [
    Target("cortex-m0plus", ARM, "-mcpu=cortex-m0plus -mthumb", None, None, 0, 0x20000000),
    Target("cortex-m3", ARM, "-mcpu=cortex-m3 -mthumb", "arm", "mps2-an385", 0, 0x20000000),
    Target("cortex-m4", ARM, "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard", "arm", "mps2-an386", 0,
           0x20000000),
    Target("cortex-m7", ARM, "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard", "arm", "mps2-an500", 0,
           0x20000000),
    Target("cortex-m33", ARM, "-mcpu=cortex-m33 -mthumb -mfloat-abi=hard", "arm", "mps2-an505",
           0x10000000, 0x38000000),
    Target("cortex-m55", ARM, "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard", "arm", "mps3-an547", 0,
           0x20000000),
    Target("rv32imac", RISCV, "-march=rv32imac -mabi=ilp32", "riscv32", "virt", 0x80000000,
           0x80400000),
]


class Failure(Exception):
    pass


def run(command, fails=False, timeout=300):
    """Output of a command that has to succeed (or, with `fails`, to fail)."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          universal_newlines=True, timeout=timeout)
    if (done.returncode != 0) != fails:
        raise Failure("%s\nexit %d: %s" % (" ".join(map(str, command)), done.returncode,
                                           done.stdout[-3000:]))
    return done.stdout


class Export:
    """An exported folder and the numbers that its model.h states."""

    def __init__(self, folder):
        self.folder = folder
        if not (folder / "model.h").exists():
            sys.exit("%s: no model.h; a network with a name of its own cannot be run here" % folder)
        text = (folder / "model.h").read_text()
        number = lambda name: int(re.search(r"#define %s (\d+)" % name, text).group(1))
        self.int8 = "#define MODEL_INT8" in text
        self.arena, self.weights = number("MODEL_ARENA_BYTES"), number("MODEL_WEIGHTS_BYTES")
        self.classes = number("MODEL_CLASSES")
        self.image_bytes = (number("MODEL_INPUT_HEIGHT") * number("MODEL_INPUT_WIDTH") *
                            number("MODEL_INPUT_CHANNELS"))
        self.kernels = sorted(folder.glob("mn_*.c"))

    def scores(self, text):
        """Rows of scores from what the probe printed, little-endian."""
        form = "<%d%s" % (self.classes, "b" if self.int8 else "f")
        return [struct.unpack(form, bytes.fromhex(line)) for line in text.split()]


def write_images(path, images):
    rows = ",\n".join("{%s}" % ",".join(str(byte) for byte in image) for image in images)
    path.write_text("enum { IMAGES = %d };\nstatic const unsigned char images[%d][%d] = {\n%s};\n"
                    % (len(images), len(images), len(images[0]), rows))


def sections(target, path):
    """Sizes of an object's sections, of all sections of one kind together. Literals of expressions,
    which compilers keep beside the code (Arm) or in .rodata.cst4 (RISC-V), are code."""
    sizes = collections.Counter()
    for line in run([target.prefix + "size", "-A", path]).splitlines():
        match = re.match(r"(\.\S+)\s+(\d+)\s", line)
        if match:
            name = re.sub(r"^\.s?rodata\.cst\d+$", ".text", match.group(1))
            kind = re.match(r"\.s?(text|rodata|data|bss|stack)\b", name)
            sizes[kind.group(1) if kind else name] += int(match.group(2))
    return sizes


def symbols(target, path, types):
    lines = run([target.prefix + "nm", "-S", path]).splitlines()
    fields = [line.split() for line in lines]
    return sum(int(f[1], 16) for f in fields if len(f) == 4 and f[2] in types)


def expect(what, got, wanted):
    if got != wanted:
        raise Failure("%s: %s, expected %s" % (what, got, wanted))


def compile_export(target, export, work):
    """Objects of model.c and the kernels, C99; C++11 is compiled and thrown away."""
    objects = []
    for source in [export.folder / "model.c"] + export.kernels:
        objects.append(work / (source.stem + ".o"))
        run([target.prefix + "gcc", "-std=c99", "-Wstrict-prototypes", "-Wmissing-prototypes", *WARNINGS,
             *FLAGS, *target.cpu.split(), "-c", source, "-o", objects[-1]])
        run([target.prefix + "g++", "-x", "c++", "-std=c++11", "-fno-exceptions", *WARNINGS, *FLAGS,
             *target.cpu.split(), "-c", source, "-o", work / "cpp.o"])
    return objects


def check_sizes(target, export, objects):
    """Tables and arena are all that the export keeps, and as large as it says; returns .text."""
    expect("tables (nm -S)", symbols(target, objects[0], "rRdD"), export.weights)
    expect("arena (nm -S)", symbols(target, objects[0], "bBcC"), export.arena)
    found = sum((sections(target, path) for path in objects), collections.Counter())
    for name, wanted in (("rodata", export.weights), ("bss", export.arena), ("data", 0)):
        expect("." + name, found[name], wanted)
    return found["text"]


def compile_probe(target, export, work):
    """Objects of the start-up code and of the probe with its images."""
    cpu = target.cpu.split()
    started, probe = work / "startup.o", work / "probe.o"
    # -O1: loops over memory must not become calls of memset() or vectors before those are allowed.
    run([target.prefix + "gcc", "-std=c99", "-O1", *FLAGS[1:], *cpu, "-c", BOARD / "startup.c", "-o",
         started])
    run([target.prefix + "gcc", "-std=c99", *FLAGS, *cpu, "-I", work, "-I", export.folder, "-c",
         BOARD / "probe.c", "-o", probe])
    return [started, probe]


def link(target, export, work, objects, ram_bytes, fails=False):
    script = work / "target.ld"
    text = (BOARD / "target.ld.in").read_text()
    for name, value in (("FLASH", target.flash), ("FLASH_BYTES", FLASH_BYTES), ("RAM", target.ram),
                        ("RAM_BYTES", ram_bytes), ("STACK_BYTES", STACK_BYTES),
                        ("ARENA_BYTES", export.arena)):
        text = text.replace("@%s@" % name, "%d" % value)
    script.write_text(text)
    return run([target.prefix + "gcc", *target.cpu.split(), "-nostdlib", "-Wl,--gc-sections", "-T",
                script, *objects, "-lgcc", "-o", work / "probe.elf"], fails=fails)


def check_least_ram(target, export, work, objects):
    """The link does not fit into a byte less than arena and stack."""
    ram = export.arena + STACK_BYTES - 1
    said = link(target, export, work, objects, ram, fails=True)
    if "region `RAM' overflowed by 1 byte" not in said:
        raise Failure("with %d bytes of RAM the link failed for another reason: %s" % (ram, said))


def link_exactly(target, export, work, objects):
    """The link fits into arena and stack."""
    link(target, export, work, objects, export.arena + STACK_BYTES)
    found = sections(target, work / "probe.elf")
    expect("linked .bss", found["bss"], export.arena)
    expect("linked .stack", found["stack"], STACK_BYTES)


def emulate(target, work):
    """Rows that the probe printed, and the bytes of stack that it used."""
    said = run(["qemu-system-" + target.qemu, "-machine", target.machine, "-nographic", "-monitor",
                "none", "-serial", "none", "-semihosting-config", "enable=on,target=native",
                *(["-bios", "none"] if target.qemu == "riscv32" else []),
                "-kernel", work / "probe.elf"])
    if "FAULT" in said:
        raise Failure("the probe faulted; a stack of %d bytes may be too small" % STACK_BYTES)
    match = re.fullmatch(r"(.*)stack ([0-9a-f]{8})\n", said, re.S)
    if not match:
        raise Failure("the probe did not end: %s" % said[-300:])
    stack = int(match.group(2), 16)
    if stack >= STACK_BYTES:
        raise Failure("the stack of %d bytes is used up" % STACK_BYTES)
    return match.group(1), stack


def compare(export, rows, expected, first):
    expect("number of images", len(rows), len(expected))
    for i, (row, wanted) in enumerate(zip(rows, expected), first):
        expect("outputs of image %d" % i, len(row), len(wanted))
        for c, (got, want) in enumerate(zip(row, wanted)):
            same = got == want if export.int8 else abs(got - want) <= TOLERANCE * (1 + abs(want))
            if not same:
                raise Failure("image %d, output %d: %r, expected %r" % (i, c, got, want))


def run_target(target, export, images, expected, work):
    """Returns one line about a target that passed. As many images as the flash holds run at once."""
    objects = compile_export(target, export, work)
    text = check_sizes(target, export, objects)
    at_once = max(1, (FLASH_BYTES - CODE_BYTES - export.weights) // export.image_bytes)
    most_stack = 0
    for first in range(0, len(images), at_once):
        write_images(work / "images.h", images[first:first + at_once])
        linked = compile_probe(target, export, work) + objects
        if first == 0:
            check_least_ram(target, export, work, linked)
        link_exactly(target, export, work, linked)
        if target.qemu is None:
            return ".text %6d, compiled and linked only" % text
        printed, stack = emulate(target, work)
        compare(export, export.scores(printed), expected[first:first + at_once], first)
        most_stack = max(most_stack, stack)
    return ".text %6d, stack %4d of %d, %d images equal" % (text, most_stack, STACK_BYTES, len(images))


def missing_tools(target):
    tools = [target.prefix + tool for tool in ("gcc", "g++", "nm", "size")]
    if target.qemu:
        tools.append("qemu-system-" + target.qemu)
    return [tool for tool in tools if shutil.which(tool) is None]


def run_on_host(export, images, work):
    write_images(work / "images.h", images)
    run(["cc", "-std=c99", "-O2", "-I", work, "-I", export.folder, BOARD / "probe.c", BOARD / "host.c",
         export.folder / "model.c", *export.kernels, "-o", work / "host"])
    return export.scores(run([work / "host"]))


def load(source, precision, options, work):
    """(export, images, expected rows) of a program target_network, or of a folder."""
    if options.export:
        export = Export(pathlib.Path(source))
        data = pathlib.Path(options.raw).read_bytes()
    else:
        run([source, precision, options.images, work])
        export = Export(work / "out")
        data = (work / "images").read_bytes()
    size = export.image_bytes
    images = [data[i:i + size] for i in range(0, len(data) - size + 1, size)][:options.images]
    if options.export:
        return export, images, run_on_host(export, images, work)
    number = int if export.int8 else float
    lines = (work / "expected").read_text().splitlines()
    return export, images, [[number(word) for word in line.split()] for line in lines]


def try_target(target, export, images, expected, work):
    """What there is to say of a target, and whether it is "passed", "failed" or "skipped"."""
    missing = missing_tools(target)
    if missing:
        return "SKIPPED, NOT INSTALLED: " + " ".join(missing), "skipped"
    folder = work / target.name
    folder.mkdir()
    try:
        return run_target(target, export, images, expected, folder), "passed"
    except (Failure, subprocess.TimeoutExpired) as reason:
        return "FAILED: %s" % reason, "failed"


def run_export(source, precision, options, work):
    """How many targets came out how."""
    ends = collections.Counter()
    export, images, expected = load(source, precision, options, work)
    print("%s, %s: weights %d, arena %d, RAM of the link %d"
          % (source, "int8" if export.int8 else "float32", export.weights, export.arena,
             export.arena + STACK_BYTES), flush=True)
    targets = [t for t in TARGETS if not options.target or t.name in options.target]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        said = pool.map(lambda t: try_target(t, export, images, expected, work), targets)
        for target, (text, end) in zip(targets, said):
            print("  %-14s %s" % (target.name, text), flush=True)
            ends[end] += 1
    return ends


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="+")
    parser.add_argument("--images", type=int, default=10, help="default 10")
    parser.add_argument("--target", action="append", choices=[t.name for t in TARGETS],
                        help="only this one; may be repeated")
    parser.add_argument("--precision", action="append", choices=["float32", "int8"],
                        help="of target_network; default both")
    parser.add_argument("--export", action="store_true", help="NETWORK is an exported folder")
    parser.add_argument("--raw", help="with --export: a file of raw images")
    options = parser.parse_args()
    if options.export != bool(options.raw):
        parser.error("--export and --raw belong together")
    ends = collections.Counter()
    for source in options.network:
        for precision in [None] if options.export else options.precision or ["float32", "int8"]:
            with tempfile.TemporaryDirectory(prefix="memnet-target-") as folder:
                ends += run_export(source, precision, options, pathlib.Path(folder))
    sys.exit(1 if ends["failed"] else 77 if ends["skipped"] else 0)


if __name__ == "__main__":
    main()
