#!/usr/bin/env python3
"""Compiles every public header alone, as C11 and as C++11, and every kernel as C99 and C++11.

Usage: check_headers.py PROJECT_ROOT
"""
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def compiles(root, path, compiler, language, standard):
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS,
               "-I", str(root / "include"), "-I", str(root / "src"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{path.relative_to(root)} as {standard}:\n{done.stderr}")
    return done.returncode == 0


def main():
    root = pathlib.Path(sys.argv[1])
    headers = sorted((root / "include" / "memnet").glob("*.h"))
    kernels = sorted((root / "src" / "kernels").glob("*.[ch]"))
    good = [compiles(root, h, "cc", "c", "c11") for h in headers]
    good += [compiles(root, h, "c++", "c++", "c++11") for h in headers]
    good += [compiles(root, k, "cc", "c", "c99") for k in kernels]
    good += [compiles(root, k, "c++", "c++", "c++11") for k in kernels]
    sys.exit(0 if headers and kernels and all(good) else 1)


if __name__ == "__main__":
    main()
