#!/usr/bin/env python3
"""Compiles every public header alone, as C11 and as C++11, and every kernel as C99 and C++11: alone,
and all of exported code's in one translation unit, as unity builds do.

Usage: check_headers.py PROJECT_ROOT
"""
import pathlib
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compiles(root, path, compiler, language, standard, *options):
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, *options,
               "-I", str(root / "include"), "-I", str(root / "src"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{path} as {standard}:\n{done.stderr}")
    return done.returncode == 0


def compile_together(root, kernels):
    """All kernels as one file, on the portable path and on that of AVX2."""
    with tempfile.TemporaryDirectory() as folder:
        together = pathlib.Path(folder) / "together.c"
        together.write_text("".join(f'#include "{k}"\n' for k in kernels))
        return all(compiles(root, together, compiler, language, standard, *options)
                   for compiler, language, standard in (("cc", "c", "c99"), ("c++", "c++", "c++11"))
                   for options in ((), ("-mavx2",)))


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    headers = sorted((root / "include" / "memnet").glob("*.h"))
    kernels = sorted((root / "src" / "kernels").glob("*.[ch]"))
    good = [compiles(root, h, "cc", "c", "c11") for h in headers]
    good += [compiles(root, h, "c++", "c++", "c++11") for h in headers]
    good += [compiles(root, k, "cc", "c", "c99") for k in kernels]
    good += [compiles(root, k, "c++", "c++", "c++11") for k in kernels]
    good.append(compile_together(root, [k for k in kernels if k.match("mn_*.c")]))
    sys.exit(0 if headers and kernels and all(good) else 1)


if __name__ == "__main__":
    main()
