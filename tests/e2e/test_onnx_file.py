#!/usr/bin/env python3
"""What tests and benches write as ONNX: onnx_file.py, and bench/tflite_to_onnx.py on top of it.

Usage: test_onnx_file.py [unittest arguments]
The files are read back by a decoder of their own. The MLPerf Tiny models are looked for in
$MEMNET_DATA/mlperf-tiny.
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bench" / "tflite_to_onnx.py"
PROTO = pathlib.Path("/usr/include/onnx/onnx.proto")

sys.path.insert(0, str(SCRIPT.parent))
import onnx_file  # noqa: E402
import tflite_file  # noqa: E402
import tflm_arena  # noqa: E402
import tiny_tflite  # noqa: E402
from onnx_file import Model, Tensor  # noqa: E402


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


# ---- bench/tflite_to_onnx.py ---------------------------------------------------------------------

class Translated(unittest.TestCase):
    """A test with a folder of its own that runs the script in it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-tflite-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_script(self, *arguments):
        return subprocess.run([sys.executable, "-B", str(SCRIPT), *map(str, arguments)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                              universal_newlines=True, check=False)

    def ok(self, *arguments):
        result = self.run_script(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
        return result.stdout

    def refused(self, data, says):
        path = self.folder / "bad.tflite"
        path.write_bytes(data)
        result = self.run_script("--to", self.folder, path)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Atflite_to_onnx: [^\n]*bad\.tflite: [^\n]*\n\Z")
        self.assertIn(says, result.stderr)
        self.assertFalse((self.folder / "bad.onnx").exists())

    def translated(self, data):
        (self.folder / "net.tflite").write_bytes(data)
        self.ok("--to", self.folder, self.folder / "net.tflite")
        return Graph((self.folder / "net.onnx").read_bytes())


def small_network(activation=3, zero_point=-128, scale=6 / 255):
    """float32 in, int8 convolution of stride 2 with RELU6, float32 out. 1x4x5x1 to 1x2x3x2."""
    b = tiny_tflite.Builder()
    b.tensor((1, 4, 5, 1))
    b.tensor((1, 4, 5, 1), "int8", scales=[0.5], zero_points=[3])
    b.tensor((2, 2, 3, 1), "int8", bytes(range(12)), scales=[0.25, 0.5])
    b.tensor((2,), "int32", struct.pack("<2i", -7, 9), scales=[0.125, 0.25])
    b.tensor((1, 2, 3, 2), "int8", scales=[scale], zero_points=[zero_point])
    b.tensor((1, 2, 3, 2))
    b.operator("QUANTIZE", [0], [1])
    b.operator("CONV_2D", [1, 2, 3], [4], 1, f0=("b", 0), f1=("i", 2), f2=("i", 2),
               f3=("b", activation))
    b.operator("DEQUANTIZE", [4], [5])
    return b


class Small(Translated):
    """Networks of a few operators: what needs no data."""

    def test_int8(self):
        g = self.translated(small_network().bytes([0], [5]))
        self.assertEqual([n.op_type for n in g.nodes],
                         ["QuantizeLinear", "QLinearConv", "DequantizeLinear"])
        self.assertEqual((g.inputs, g.outputs), ([("t0", 1, [1, 1, 4, 5])],
                                                 [("t5", 1, [1, 2, 2, 3])]))
        self.assertEqual(g.values, {"t1": ("t1", 3, [1, 1, 4, 5]), "t4": ("t4", 3, [1, 2, 2, 3])})
        conv = g.nodes[1]
        self.assertEqual(conv.inputs, ["t1", "t1_scale", "t1_zero_point", "t2", "t2_scale",
                                       "t2_zero_point", "t4_scale", "t4_zero_point", "t3"])
        # 4 rows by 2 at stride 2 need none; 5 columns by 3 one on each side.
        self.assertEqual([conv.ints(a) for a in ("pads", "strides", "kernel_shape", "dilations")],
                         [[0, 1, 0, 1], [2, 2], [2, 3], [1, 1]])
        self.assertEqual((every(g.initializers["t2"], 1), g.raw("t2")),
                         ([2, 1, 2, 3], bytes(range(12))))
        self.assertEqual(g.raw("t3"), struct.pack("<2i", -7, 9))
        self.assertEqual(g.raw("t2_scale"), struct.pack("<2f", 0.25, 0.5))
        self.assertEqual((every(g.initializers["t1_scale"], 1), g.raw("t1_zero_point")),
                         ([], b"\3"))

    def test_padding_goes_to_the_end(self):
        """5 columns by 4 at stride 2: two columns of padding would be even, three are not."""
        b = tiny_tflite.Builder()
        b.tensor((1, 6, 5, 2))
        b.tensor((1, 3, 4, 2), data=struct.pack("<24f", *range(24)))
        b.tensor((1, 3, 3, 2))
        b.operator("DEPTHWISE_CONV_2D", [0, 1, -1], [2], 2, f1=("i", 2), f2=("i", 2), f3=("i", 1),
                   f4=("b", 3))
        g = self.translated(b.bytes([0], [2]))
        self.assertEqual([(n.op_type, n.inputs, n.outputs) for n in g.nodes],
                         [("Conv", ["t0", "t1"], ["t2_linear"]),
                          ("Clip", ["t2_linear", "zero", "six"], ["t2"])])
        self.assertEqual(g.nodes[0].ints("pads"), [0, 1, 1, 2])
        self.assertEqual(one(g.nodes[0].attributes["group"], 3), 2)
        self.assertEqual(every(g.initializers["t1"], 1), [2, 1, 3, 4])
        self.assertEqual(struct.unpack("<24f", g.raw("t1")),
                         tuple(range(0, 24, 2)) + tuple(range(1, 24, 2)))
        self.assertEqual(g.raw("six"), struct.pack("<f", 6))

    def test_channels_move(self):
        """Weights (O,H,W,I) become (O,I,H,W)."""
        b = tiny_tflite.Builder()
        b.tensor((1, 1, 2, 3), "int8", scales=[1.0])
        b.tensor((1, 1, 2, 3), "int8", bytes(range(6)), scales=[1.0])
        b.tensor((1, 1, 1, 1), "int8", scales=[1.0])
        b.operator("CONV_2D", [0, 1], [2], 1, f0=("b", 1), f1=("i", 1), f2=("i", 1))
        g = self.translated(b.bytes([0], [2]))
        self.assertEqual((g.raw("t1"), every(g.initializers["t1"], 1)),
                         (bytes([0, 3, 1, 4, 2, 5]), [1, 3, 1, 2]))
        self.assertEqual(len(g.nodes[0].inputs), 8)

    def test_int8_weights_of_float32(self):
        b = tiny_tflite.Builder()
        b.tensor((1, 2))
        b.tensor((3, 2), "int8", bytes(6), scales=[0.5])
        b.tensor((1, 3))
        b.operator("FULLY_CONNECTED", [0, 1, -1], [2], 8, f0=("b", 1))
        g = self.translated(b.bytes([0], [2]))
        self.assertEqual([(n.op_type, n.inputs) for n in g.nodes],
                         [("DequantizeLinear", ["t1", "t1_scale", "t1_zero_point"]),
                          ("Gemm", ["t0", "t1_real"]), ("Relu", ["t2_linear"])])

    def test_refusals(self):
        for clamp in (dict(zero_point=-127), dict(scale=0.03), dict(activation=1, zero_point=0)):
            self.refused(small_network(**clamp).bytes([0], [5]), "cuts the int8 range of t4 short")
        self.refused(small_network(activation=4).bytes([0], [5]), "fused activation TANH")
        self.refused(small_network().bytes([0], [5], subgraphs=2), "2 subgraphs")
        self.refused(small_network().bytes([9], [5]), "tensor 9")
        b = small_network()
        b.operator("CUMSUM", [5], [5])
        self.refused(b.bytes([0], [5]), "operator 3: BUILTIN_128 is not translated")
        for kind, shapes, says in (("RESHAPE", ((1, 2, 2, 3), (1, 12)), "another order"),
                                   ("ADD", ((1, 2), (1, 3)), "different shapes")):
            b = tiny_tflite.Builder()
            inputs = [b.tensor(shape) for shape in shapes][:1 if kind == "RESHAPE" else 2]
            out = 1 if kind == "RESHAPE" else b.tensor((1, 2))
            b.operator(kind, inputs, [out], 11 if kind == "ADD" else 0)
            self.refused(b.bytes([0], [out]), says)
        b = tiny_tflite.Builder()
        b.tensor((1, 4), variable=True)
        b.tensor((1, 4))
        b.operator("SOFTMAX", [0], [1], 9, f0=("f", 1.0))
        self.refused(b.bytes([0], [1]), "t0 is a variable")

    def test_damaged(self):
        data = small_network().bytes([0], [5])
        self.refused(b"", "not a TensorFlow Lite model")
        self.refused(data[:4] + b"XXXX" + data[8:], "not a TensorFlow Lite model")
        for length in range(8, len(data)):
            with self.assertRaisesRegex(tflite_file.TfliteError, r"\Atruncated: .*\Z", msg=length):
                tflite_file.Model(data[:length])
        self.refused(data[:len(data) // 2], "truncated")
        result = self.run_script(self.folder / "absent.tflite")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Atflite_to_onnx: \S*: No such file or directory\n\Z")

    def test_greedy(self):
        """A chain of 1, 2, 3, 2, 2 times 16 bytes, and placements where greed and ties cost."""
        b = tiny_tflite.Builder()
        for size in (1, 2, 3, 2, 2):
            b.tensor((1, 4 * size))
        for t in range(4):
            b.operator("SOFTMAX", [t], [t + 1], 9, f0=("f", 1.0))
        path = self.folder / "net.tflite"
        path.write_bytes(b.bytes([0], [4]))
        model = tflite_file.read(path)
        self.assertEqual([(t.index, first, last) for t, first, last in
                          tflm_arena.activations(model)],
                         [(0, 0, 1), (1, 1, 2), (2, 2, 3), (3, 3, 4), (4, 4, 4)])
        self.assertEqual(tflm_arena.greedy_bytes(model), 16 * 5)
        # 18 and 11 never meet and both lie at 0; 10 meets both.
        self.assertEqual(tflm_arena.place([(11, 0, 1), (10, 1, 2), (18, 2, 3)]), [0, 18, 0])
        # Among equals the last one is placed first.
        self.assertEqual(tflm_arena.place([(8, 0, 1), (8, 1, 2)]), [8, 0])


class MlperfTiny(Translated):
    """The reference models: sizes that others report for them."""

    @classmethod
    def setUpClass(cls):
        root = os.environ.get("MEMNET_DATA")
        cls.data = pathlib.Path(root or "/nonexistent") / "mlperf-tiny"
        if not cls.data.is_dir():
            raise unittest.SkipTest("no $MEMNET_DATA/mlperf-tiny: THE REFERENCE MODELS ARE NOT "
                                    "TRANSLATED")

    def test_all(self):
        """Every model is stated: its operators, and values that all have a producer and a type."""
        models = sorted(self.data.glob("*.tflite"))
        self.assertGreaterEqual(len(models), 9)
        lines = self.ok("--to", self.folder, *models).splitlines()
        self.assertEqual([line.split(":")[0] for line in lines], [m.stem for m in models])
        for path in models:
            g = Graph((self.folder / f"{path.stem}.onnx").read_bytes())
            known = {v[0] for v in g.inputs} | set(g.initializers) | {""}
            for node in g.nodes:
                self.assertLessEqual(set(node.inputs), known, path)
                known |= set(node.outputs)
                for out in node.outputs:
                    self.assertIn(out, set(g.values) | {v[0] for v in g.outputs}, path)
            self.assertLessEqual({v[0] for v in g.outputs}, known)

    def test_vww(self):
        path = self.data / "vww_mobilenet025_96_int8.tflite"
        out = self.ok("--chain", "--greedy", "--to", self.folder, path)
        self.assertIn("31 operators", out)
        self.assertIn("largest input and output: 55,296 bytes (operator 2, CONV_2D)", out)
        self.assertIn("greedy arena: 73,728 bytes", out)
        sizes = [int(line.split()[4].replace(",", "")) for line in out.splitlines()
                 if re.match(r"  \w+ +t\d+ ", line)]
        self.assertEqual(sizes[:4], [27648, 18432, 18432, 36864])
        self.assertEqual(len(sizes), 32)
        g = Graph((self.folder / "vww_mobilenet025_96_int8.onnx").read_bytes())
        self.assertEqual(g.inputs, [("t0", 3, [1, 3, 96, 96])])
        self.assertEqual(g.outputs, [("t88", 3, [1, 2])])
        self.assertEqual(g.nodes[0].ints("pads"), [0, 0, 1, 1])
        self.assertEqual([n.op_type for n in g.nodes], ["QLinearConv"] * 27 + [
            "QLinearAveragePool", "Reshape", "QGemm", "QLinearSoftmax"])

    def test_truncated(self):
        data = (self.data / "kws_dscnn_int8.tflite").read_bytes()
        for length in (8, 1000, len(data) // 2, len(data) - 1000):
            self.refused(data[:length], "truncated")


if __name__ == "__main__":
    unittest.main(verbosity=2)
