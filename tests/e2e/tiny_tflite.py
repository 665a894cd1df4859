"""Writes TensorFlow Lite models of a few operators, for tests of what reads them.

A flatbuffer needs only that offsets point forwards, so parents come first and their children are
appended. Field places are stated again here, apart from bench/tflite_file.py, so that the two can
disagree.
"""
import struct

CODES = {"ADD": 0, "AVERAGE_POOL_2D": 1, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "DEQUANTIZE": 6,
         "FULLY_CONNECTED": 9, "RESHAPE": 22, "SOFTMAX": 25, "TANH": 28, "QUANTIZE": 114,
         "CUMSUM": 128}
TYPES = {"float32": 0, "int32": 2, "int8": 9}


class Numbers:
    """A vector of scalars."""

    def __init__(self, code, values):
        self.data = struct.pack("<I", len(values)) + struct.pack(f"<{len(values)}{code}", *values)


def append(out, node):
    """Appends a table {place: value}, a list of tables, a string or Numbers; where it begins. A
    value is (struct code, number) or a node."""
    out += bytes(-len(out) % 4)
    start = len(out)
    if isinstance(node, Numbers):
        out += node.data
        return start
    if isinstance(node, str):
        return append(out, Numbers("B", node.encode()))
    if isinstance(node, list):
        out += struct.pack("<I", len(node)) + bytes(4 * len(node))
        children = [(start + 4 + 4 * i, child) for i, child in enumerate(node)]
    else:
        places = range(max(node) + 1 if node else 0)
        vtable = [4 + 2 * len(places), 4 + 8 * len(places)]
        vtable += [4 + 8 * p if p in node else 0 for p in places]
        out += struct.pack(f"<{len(vtable)}H", *vtable)
        out += bytes(-len(out) % 4)
        table = len(out)
        out += struct.pack("<i", table - start) + bytes(8 * len(places))
        children = [(table + 4 + 8 * p, node[p]) for p in places if p in node]
        start = table
    for slot, child in children:
        if isinstance(child, tuple):
            struct.pack_into("<" + child[0], out, slot, child[1])
        else:
            struct.pack_into("<I", out, slot, append(out, child) - slot)
    return start


class Builder:
    """Tensors and operators in order; `data` makes a tensor constant."""

    def __init__(self):
        self.tensors, self.operators, self.buffers, self.kinds = [], [], [{}], []

    def tensor(self, shape, dtype="float32", data=None, scales=(), zero_points=None,
               variable=False):
        table = {0: Numbers("i", shape), 1: ("b", TYPES[dtype]), 2: ("I", 0),
                 3: f"tensor {len(self.tensors)}"}
        if data is not None:
            table[2] = ("I", len(self.buffers))
            self.buffers.append({0: Numbers("B", data)})
        if scales:
            zero_points = [0] * len(scales) if zero_points is None else zero_points
            table[4] = {2: Numbers("f", scales), 3: Numbers("q", zero_points)}
        if variable:
            table[5] = ("b", 1)
        self.tensors.append(table)
        return len(self.tensors) - 1

    def operator(self, kind, inputs, outputs, options_type=0, **options):
        """`options`: f<place>=(code, number), as the table of the operator has them."""
        if kind not in self.kinds:
            self.kinds.append(kind)
        table = {0: ("I", self.kinds.index(kind)), 1: Numbers("i", inputs),
                 2: Numbers("i", outputs)}
        if options_type:
            table[3] = ("B", options_type)
            table[4] = {int(name[1:]): value for name, value in options.items()}
        self.operators.append(table)

    def bytes(self, inputs, outputs, subgraphs=1):
        graph = {0: self.tensors, 1: Numbers("i", inputs), 2: Numbers("i", outputs),
                 3: self.operators}
        codes = [{0: ("b", min(CODES[kind], 127)), 3: ("i", CODES[kind])} for kind in self.kinds]
        out = bytearray(b"\0\0\0\0TFL3")
        root = append(out, {0: ("I", 3), 1: codes, 2: [graph] * subgraphs, 4: self.buffers})
        struct.pack_into("<I", out, 0, root)
        return bytes(out)
