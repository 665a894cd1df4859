#!/usr/bin/env python3
"""Checks that includes go only to a file's own or a lower floor (docs/architecture.md).

Two floors of equal height do not know each other. Public headers stand on the floor of the noun
they describe; `memnet/status.h` is on the ground. Usage: check_floors.py PROJECT_ROOT
"""
import pathlib
import re
import sys

HEIGHT = {
    "kernels": 0, "simd": 0, "base": 1, "graph": 2, "data": 2, "study": 2, "space": 3, "plan": 3, "onnx": 3,
    "train": 4, "rank": 4, "emit": 4, "report": 4, "quant": 5, "search": 6, "cli": 7,
}
# Public headers and the floors that own them.
PUBLIC = {
    "status": "base", "graph": "graph", "tensors": "graph", "deploy": "graph", "model": "graph",
    "quant": "graph", "quantize": "quant",
    "dataset": "data", "batches": "data", "study": "study", "genotype": "space", "moves": "space",
    "plan": "plan", "onnx": "onnx", "emit": "emit", "train": "train",
    "qat": "quant", "search": "search", "worker": "search",
}
# data/ describes images with graph/'s mn_shape and model/'s mn_preprocessing: types only.
ALLOWED_SIDEWAYS = {("data", "graph")}
# Libraries that one floor alone may speak to.
SOLE_USER = {
    "sqlite3": "study", "jansson": "base", "protobuf-c": "onnx",
    "onnx.pb-c": "onnx",
}


def floor_of(path):
    if path.parts[0] == "src":
        return path.parts[1]
    if path.parts[0] == "include":
        return PUBLIC.get(path.stem)
    return path.parts[0]


def target_floor(include):
    parts = include.split("/")
    if parts[0] == "memnet":
        return PUBLIC.get(parts[1].removesuffix(".h"))
    return parts[0] if parts[0] in HEIGHT else None


def problems(root):
    files = [p for top in ("src", "include", "cli") for p in sorted((root / top).rglob("*.[ch]"))]
    for path in files:
        rel = path.relative_to(root)
        own = floor_of(rel)
        if own not in HEIGHT:
            yield f"{rel}: on no known floor"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
            if not match:
                continue
            include = match.group(1)
            where = f"{rel}:{number}: "
            sole = SOLE_USER.get(include.split("/")[-1].removesuffix(".h").split("_")[0])
            if sole and own != sole and not (sole == "base" and HEIGHT[own] > 0):
                yield where + f"only {sole}/ may include {include}"
            if include.startswith("memnet/") and target_floor(include) is None:
                yield where + f"public header {include} has no floor in check_floors.py"
            target = target_floor(include)
            if target is None or target == own or (own, target) in ALLOWED_SIDEWAYS:
                continue
            if HEIGHT[target] >= HEIGHT[own]:
                yield where + f"{own}/ (floor {HEIGHT[own]}) may not include {target}/ (floor {HEIGHT[target]})"


def main():
    found = list(problems(pathlib.Path(sys.argv[1])))
    for problem in found:
        print(problem)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
