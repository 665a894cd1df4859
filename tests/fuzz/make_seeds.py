#!/usr/bin/env python3
"""Writes a small seed corpus: one folder per fuzz target, a few good and nearly good files in each.

Usage: make_seeds.py FOLDER        then, for example: build-fuzz/tests/fuzz/fuzz_npy FOLDER/npy

A format is a function that yields (name, bytes), entered in FORMATS under its target's name without
"fuzz_". Everything is deterministic and needs the standard library only.
"""
import gzip
import pathlib
import struct
import sys


def pattern(count):
    return bytes(i * 37 % 251 for i in range(count))


def idx(dims, body):
    return struct.pack(">I", 0x800 + len(dims)) + struct.pack(f">{len(dims)}I", *dims) + body


def idx_seeds():
    images = idx((3, 4, 5), pattern(60))
    labels = idx((7,), bytes((0, 1, 2, 0, 1, 2, 255)))
    yield "images", images
    yield "labels", labels
    yield "images.gz", gzip.compress(images, mtime=0)
    yield "labels.gz", gzip.compress(labels, mtime=0)
    yield "two-members.gz", gzip.compress(images[:20], mtime=0) + gzip.compress(images[20:], mtime=0)
    yield "truncated", images[:-1]
    yield "truncated.gz", gzip.compress(images, mtime=0)[:-9]
    yield "longer", labels + b"x"
    yield "greedy", idx((0x80000000, 0x80000000, 0x80000000), b"abc")
    yield "none", idx((0, 4, 5), b"")


def cifar_seeds():
    record = pattern(3072)
    yield "one", b"\x03" + record
    yield "two", b"\x00" + record + b"\x09" + record
    yield "label-out-of-range", b"\x00" + record + b"\x0c" + record
    yield "truncated", b"\x03" + record[:-1]


def npy(version, dict_text, body):
    text = dict_text.encode() + b" " * (-(len(dict_text) + 13) % 64) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + body


def npy_dict(descr, shape, order="False"):
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"


def npy_seeds():
    floats = struct.pack("<24f", *(i * 0.5 - 3 for i in range(24)))
    yield "u1-3", npy(1, npy_dict("|u1", "(4, 3, 2)"), pattern(24))
    yield "u1-4", npy(2, npy_dict("|u1", "(2, 3, 2, 2)"), pattern(24))
    yield "f4-3", npy(3, npy_dict("<f4", "(4, 3, 2)"), floats)
    yield "f4-nan", npy(1, npy_dict("<f4", "(1, 1, 1)"), struct.pack("<f", float("nan")))
    for descr, code in (("|i1", "b"), ("<i2", "<h"), ("<u4", "<I"), ("<i8", "<q"), (">u8", ">Q")):
        body = b"".join(struct.pack(code, v) for v in (5, 0, 9))
        yield "label-" + descr[1:], npy(1, npy_dict(descr, "(3,)"), body)
    yield "label-column", npy(1, npy_dict("|u1", "(3, 1)"), b"\0\1\2")
    yield "label-negative", npy(1, npy_dict("<i8", "(1,)"), b"\xff" * 8)
    yield "fortran", npy(1, npy_dict("|u1", "(4, 3, 2)", "True"), pattern(24))
    yield "truncated", npy(1, npy_dict("|u1", "(1000, 3, 2)"), pattern(23))
    yield "greedy", npy(1, npy_dict("|u1", "(4294967294, 4294967294, 4294967294)"), b"abc")


FORMATS = {
    "idx": idx_seeds,
    "cifar": cifar_seeds,
    "npy": npy_seeds,
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    for target, seeds in FORMATS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
