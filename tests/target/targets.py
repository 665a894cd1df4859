"""Compilers and machines of the targets that kernels are tested on: cross-compiles a program without
an operating system and runs it under QEMU. Used by the tests here and by bench/target_kernels.py."""
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KERNELS = sorted((ROOT / "src" / "kernels").glob("mn_s8_*.c"))

# name: (flags, QEMU machine or None where only the compiler is tried, picoseconds of a tick)
ARM = {
    "cortex-m0plus": (["-mcpu=cortex-m0plus", "-mfloat-abi=soft"], "mps2-an385", 40000),
    "cortex-m3": (["-mcpu=cortex-m3", "-mfloat-abi=soft"], "mps2-an385", 40000),
    "cortex-m4": (["-mcpu=cortex-m4", "-mfloat-abi=hard"], "mps2-an386", 40000),
    "cortex-m7": (["-mcpu=cortex-m7", "-mfloat-abi=hard"], "mps2-an500", 40000),
    "cortex-m33": (["-mcpu=cortex-m33", "-mfloat-abi=soft"], "mps2-an505", 50000),
    "cortex-m55": (["-mcpu=cortex-m55", "-mfloat-abi=hard"], "mps3-an547", 31250),
}
# mps2-an505 has its code elsewhere: cortex-m33 code runs on the M55 instead.
RUN_ON = {"cortex-m33": ("mps3-an547", 31250)}
RISCV = ["-march=rv32imac", "-mabi=ilp32"]


def has(*programs):
    return all(shutil.which(p) for p in programs)


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def build(cpu, sources, output, extra=()):
    """Links start code and sources for an Arm core; returns the compiler's message, or ''."""
    flags, _, picoseconds = ARM[cpu]
    picoseconds = RUN_ON.get(cpu, (None, picoseconds))[1]
    done = run(["arm-none-eabi-gcc", *flags, "-mthumb", "-ffreestanding", "-nostdlib", "-std=c99",
                *extra, f"-DTARGET_TICK_PICOSECONDS={picoseconds}u", "-I", str(ROOT / "src"),
                "-I", str(HERE), "-T", str(HERE / "arm.ld"), "-o", str(output),
                str(HERE / "start_arm.c"), *map(str, sources), "-lgcc"])
    return "" if done.returncode == 0 else done.stderr


def execute(cpu, program, timeout=300):
    """(result, what the program printed)."""
    machine = RUN_ON.get(cpu, (ARM[cpu][1],))[0]
    done = run(["qemu-system-arm", "-M", machine, "-display", "none", "-monitor", "none", "-serial",
                "none", "-semihosting-config", "enable=on,target=native", "-icount", "shift=0",
                "-kernel", str(program)], timeout=timeout)
    return done.returncode, done.stdout + done.stderr
