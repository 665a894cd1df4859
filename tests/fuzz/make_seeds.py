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


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes((value & 0x7f | 0x80,))
        value >>= 7
    return out + bytes((value,))


def field(number, value):
    """A field of protobuf: an integer, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_value(number, name, kind, *dims):
    shape = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d)) for d in dims)
    tensor = field(1, kind) + field(2, shape)
    return field(number, field(1, name) + field(2, field(1, tensor)))


def onnx_constant(name, kind, dims, raw):
    dims = b"".join(field(1, d) for d in dims)
    return field(5, dims + field(2, kind) + field(8, name) + field(9, raw))


def onnx_node(op, inputs, outputs, domain=b"", **attributes):
    node = b"".join(field(1, name) for name in inputs.encode().split(b","))
    node += b"".join(field(2, name) for name in outputs.encode().split(b","))
    node += field(4, op.encode()) + field(7, domain)
    for name, value in attributes.items():
        body = field(1, name.encode())
        if isinstance(value, (int, bytes)):
            body += field(3 if isinstance(value, int) else 4, value)
        else:
            body += b"".join(field(8, v) for v in value)
        node += field(5, body)
    return field(1, node)


def onnx(graph, opset=13):
    return field(1, 8) + field(7, graph) + field(8, field(2, opset))


FLOAT, UINT8, INT8, INT64 = 1, 2, 3, 7


def onnx_seeds():
    x = onnx_value(11, b"x", FLOAT, b"N", 3, 8, 8)
    y = onnx_value(12, b"y", FLOAT, b"N", 4)
    floats = onnx_constant(b"w", FLOAT, (4, 3, 3, 3), pattern(432))
    floats += onnx_constant(b"s", FLOAT, (4,), pattern(16))
    conv = onnx_node("Conv", "x,w", "a", pads=(1, 1, 1, 1), strides=(2, 2), group=1)
    norm = onnx_node("BatchNormalization", "a,s,s,s,s", "b")
    tail = (onnx_node("Relu", "b", "c")
            + onnx_node("MaxPool", "c", "d", kernel_shape=(2, 2), ceil_mode=1)
            + onnx_node("Concat", "d,d", "e", axis=1)
            + onnx_node("Split", "e", "f,g", axis=1)
            + onnx_node("Add", "f,g", "h")
            + onnx_node("ReduceMean", "h", "y", axes=(2, 3), keepdims=0))
    plain = onnx(x + floats + conv + norm + tail + y)
    yield "plain", plain
    yield "truncated", plain[:-20]
    yield "opset-9", onnx(x + floats + conv + norm + tail + y, 9)
    numbers = {b"zero": 0, b"rest": -1, b"two": 2, b"big": 2**63 - 1}
    shapes = b"".join(onnx_constant(name, INT64, (1,), struct.pack("<q", number))
                      for name, number in numbers.items())
    shapes += (onnx_node("Shape", "x", "dims")
               + onnx_node("Gather", "dims,zero", "n")
               + onnx_node("Slice", "dims,two,big,zero", "sides")
               + onnx_node("Mul", "sides,two", "twice")
               + onnx_node("Slice", "dims,zero,two", "front")
               + onnx_node("Concat", "front,twice", "sizes", axis=0)
               + onnx_node("Resize", "x,,,sizes", "r")
               + onnx_node("Concat", "n,rest", "flat", axis=0)
               + onnx_node("Transpose", "r", "t", perm=(0, 2, 3, 1))
               + onnx_node("Reshape", "t,flat", "y"))
    yield "shapes", onnx(x + shapes + y)
    quantised = onnx_constant(b"s", FLOAT, (), pattern(4))
    quantised += onnx_constant(b"z", UINT8, (), b"\x80")
    quantised += onnx_constant(b"w", INT8, (4, 3, 1, 1), pattern(12))
    pairs = (onnx_node("QuantizeLinear", "x,s,z", "q")
             + onnx_node("DequantizeLinear", "q,s,z", "d")
             + onnx_node("DequantizeLinear", "w,s", "wd")
             + onnx_node("Conv", "d,wd", "c")
             + onnx_node("Clip", "c,,s", "r")
             + onnx_node("QuantizeLinear", "r,s,z", "rq")
             + onnx_node("DequantizeLinear", "rq,s,z", "y"))
    yield "pairs", onnx(x + quantised + pairs + y)
    microsoft = b"com.microsoft"
    qlinear = (onnx_node("QLinearConv", "x,s,z,w,s,z,s,z", "a")
               + onnx_node("QLinearAdd", "a,s,z,a,s,z,s,z", "b", microsoft)
               + onnx_node("QLinearConcat", "s,z,a,s,z,b,s,z", "y", microsoft, axis=1))
    yield "qlinear", onnx(onnx_value(11, b"x", UINT8, 1, 3, 8, 8) + quantised + qlinear + y)
    nested = b""
    for _ in range(30):
        nested = field(1, field(5, field(6, nested)))
    yield "nested", onnx(nested)


FORMATS = {
    "onnx": onnx_seeds,
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
