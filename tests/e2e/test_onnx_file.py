#!/usr/bin/env python3
"""What tests write as ONNX with onnx_file.py, read back by a decoder of its own.

Usage: test_onnx_file.py [unittest arguments]
"""
import pathlib
import re
import struct
import unittest

import onnx_file
from onnx_file import Model, Tensor

PROTO = pathlib.Path("/usr/include/onnx/onnx.proto")


# ---- reading back --------------------------------------------------------------------------------

def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """[(field number, value)] of a message: an int, a float, or bytes."""
    found, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
            assert len(value) == length, "a block is cut short"
        found.append((key >> 3, value))
    return found


def every(message, number):
    return [value for field, value in fields(message) if field == number]


def one(message, number, default=None):
    values = every(message, number)
    assert len(values) <= 1, f"field {number}: {len(values)} times"
    return values[0] if values else default


def read_value_info(message):
    """(name, element type, dims): a number, a symbol, or None."""
    tensor = one(one(message, 2), 1)
    shape = one(tensor, 2)
    dims = None
    if shape is not None:
        dims = [one(d, 1, one(d, 2)) for d in every(shape, 1)]
        dims = [d.decode() if isinstance(d, bytes) else d for d in dims]
    return one(message, 1).decode(), one(tensor, 1), dims


class Node:
    def __init__(self, message):
        self.inputs = [i.decode() for i in every(message, 1)]
        self.outputs = [o.decode() for o in every(message, 2)]
        self.name = one(message, 3, b"").decode()
        self.op_type = one(message, 4).decode()
        self.domain = one(message, 7, b"").decode()
        self.attributes = {one(a, 1).decode(): a for a in every(message, 5)}

    def ints(self, name):
        return every(self.attributes[name], 8)


class Graph:
    """A model file, taken apart."""

    def __init__(self, data):
        self.opsets = [(one(o, 1, b"").decode(), one(o, 2)) for o in every(data, 8)]
        graph = one(data, 7)
        self.nodes = [Node(n) for n in every(graph, 1)]
        self.initializers = {one(t, 8).decode(): t for t in every(graph, 5)}
        self.inputs = [read_value_info(v) for v in every(graph, 11)]
        self.outputs = [read_value_info(v) for v in every(graph, 12)]
        self.values = {v[0]: v for v in map(read_value_info, every(graph, 13))}

    def raw(self, name):
        return one(self.initializers[name], 9)


# ---- the writer ----------------------------------------------------------------------------------

class Writer(unittest.TestCase):
    def test_field_numbers(self):
        """The tables against the definition that libonnx-dev brings."""
        if not PROTO.exists():
            self.skipTest(f"{PROTO} is not there: FIELD NUMBERS ARE NOT COMPARED")
        messages, stack = {}, []
        for text in PROTO.read_text().splitlines():
            text = text.split("//")[0]
            opened = re.match(r"\s*(message|enum|oneof) (\w+) {", text)
            field = re.match(r"\s*(?:(?:optional|repeated) )?(?:\w+ )?(\w+) = (\d+)\b", text)
            if opened:
                stack.append(opened.group(2))
            elif "}" in text and stack:
                stack.pop()
            elif field and stack:
                name = [s for s in stack if s != "value"][-1]
                messages.setdefault(name, {})[field.group(1)] = int(field.group(2))
        for name, table in (("ModelProto", onnx_file.MODEL),
                            ("OperatorSetIdProto", onnx_file.OPSET),
                            ("GraphProto", onnx_file.GRAPH), ("NodeProto", onnx_file.NODE),
                            ("AttributeProto", onnx_file.ATTRIBUTE),
                            ("TensorProto", onnx_file.TENSOR),
                            ("ValueInfoProto", onnx_file.VALUE_INFO),
                            ("TypeProto", onnx_file.TYPE), ("Tensor", onnx_file.TENSOR_TYPE),
                            ("TensorShapeProto", onnx_file.SHAPE),
                            ("Dimension", onnx_file.DIMENSION)):
            self.assertEqual(table, {field: messages[name].get(field) for field in table}, name)
        kinds = {"f": "FLOAT", "i": "INT", "s": "STRING", "t": "TENSOR", "floats": "FLOATS",
                 "ints": "INTS", "strings": "STRINGS"}
        for field, number in onnx_file.ATTRIBUTE_TYPE.items():
            self.assertEqual(number, messages["AttributeType"][kinds[field]])
        for name, (number, _, _) in onnx_file.DTYPES.items():
            name = "FLOAT" if name == "float32" else name.upper()
            self.assertEqual(number, messages["DataType"][name])

    def test_varints(self):
        for value, data in ((0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300, b"\xac\2"),
                            (-1, b"\xff" * 9 + b"\1"), (2**63 - 1, b"\xff" * 8 + b"\x7f")):
            self.assertEqual(onnx_file.varint(value), data)

    def test_model(self):
        m = Model(opset=11, ir_version=6, name="net", domains=[("com.example", 2)])
        x = m.input("x", ("batch", 3, None), "uint8")
        y = m.node("Foo", [x, ""], domain="com.example", name="first")
        a, b = m.node("Split", [y], outputs=2)
        z = m.node("Foo", [a], ["foo_1"])
        m.value(z, None, "float16")
        m.output(m.node("Foo", [b]), (1, 200))
        self.assertEqual(m.bytes(), m.bytes())
        g = Graph(m.bytes())
        self.assertEqual(one(m.bytes(), 1), 6)
        self.assertEqual(g.opsets, [("", 11), ("com.example", 2)])
        self.assertEqual(g.inputs, [("x", 2, ["batch", 3, None])])
        self.assertEqual(g.values, {"foo_1": ("foo_1", 10, None)})
        self.assertEqual(g.outputs, [("foo_2", 1, [1, 200])])
        self.assertEqual([(n.op_type, n.inputs, n.outputs, n.domain, n.name) for n in g.nodes],
                         [("Foo", ["x", ""], ["foo_0"], "com.example", "first"),
                          ("Split", ["foo_0"], ["split_0", "split_1"], "", ""),
                          ("Foo", ["split_0"], ["foo_1"], "", ""),
                          ("Foo", ["split_1"], ["foo_2"], "", "")])

    def test_initializers(self):
        """Each type, raw and not, and zeros."""
        cases = {"float32": ("f", [1.5, -2.0], 4), "uint8": ("B", [0, 255], 5),
                 "int8": ("b", [-128, 127], 5), "int32": ("i", [-5, 2**31 - 1], 5),
                 "int64": ("q", [-2**63, 7], 7), "float16": ("e", [0.5, -3.0], 5),
                 "bool": ("B", [1, 0], 5)}
        m = Model()
        for dtype, (_, numbers, _) in cases.items():
            m.initializer(dtype, (2,), dtype, numbers)
            m.initializer(dtype + " typed", (2,), dtype, numbers, raw=False)
            m.initializer(dtype + " zeros", (2, 3), dtype)
        m.initializer("scalar", [], "float32", struct.pack("<f", 3))
        g = Graph(m.bytes())
        for dtype, (code, numbers, place) in cases.items():
            data = struct.pack(f"<2{code}", *numbers)
            self.assertEqual(g.raw(dtype), data)
            self.assertEqual(every(g.initializers[dtype], 1), [2])
            self.assertEqual(one(g.initializers[dtype], 2), onnx_file.DTYPES[dtype][0])
            self.assertEqual(g.raw(dtype + " zeros"), bytes(6 * struct.calcsize("<" + code)))
            self.assertEqual(every(g.initializers[dtype + " zeros"], 1), [2, 3])
            typed = g.initializers[dtype + " typed"]
            self.assertIsNone(one(typed, 9))
            if dtype == "float32":
                self.assertEqual(one(typed, place), data)
                continue
            first, at = read_varint(one(typed, place), 0)
            second, end = read_varint(one(typed, place), at)
            self.assertEqual(end, len(one(typed, place)))
            expected = struct.unpack("<2H", data) if dtype == "float16" else numbers
            self.assertEqual([first, second], [n & (1 << 64) - 1 for n in expected])
        self.assertEqual((every(g.initializers["scalar"], 1), g.raw("scalar")),
                         ([], struct.pack("<f", 3)))

    def test_attributes(self):
        m = Model()
        m.node("Foo", [], i=-1, f=0.5, s="same", ints=[1, 300], floats=[0.25, 2.0],
               strings=["a", "b"], empty=[], t=Tensor((2,), "int8", [1, -1]), flag=True)
        found = Graph(m.bytes()).nodes[0].attributes
        for name, kind, place, values in (
                ("i", 2, 3, [2**64 - 1]), ("f", 1, 2, [0.5]), ("s", 3, 4, [b"same"]),
                ("ints", 7, 8, [1, 300]), ("floats", 6, 7, [0.25, 2.0]),
                ("strings", 8, 9, [b"a", b"b"]), ("empty", 7, 8, []), ("flag", 2, 3, [1])):
            self.assertEqual((one(found[name], 20), every(found[name], place)), (kind, values),
                             name)
        tensor = one(found["t"], 5)
        self.assertEqual((one(found["t"], 20), every(tensor, 1), one(tensor, 2), one(tensor, 9)),
                         (4, [2], 3, b"\1\xff"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
