"""Writes ONNX files byte by byte, with the standard library only.

    m = Model(opset=13)
    x = m.input("x", (1, 3, 96, 96))
    w = m.initializer("w", (8, 3, 3, 3))
    y = m.node("Conv", [x, w], strides=[2, 2], pads=[0, 0, 1, 1])
    m.output(y, (1, 8, 48, 48))
    m.write("model.onnx")

Nothing is checked: a test may state a wrong network on purpose. integer(), number() and block()
write single protobuf fields, for files that are wrong below that.
"""
import pathlib
import struct

# Field numbers of /usr/include/onnx/onnx.proto (ONNX 1.12, IR version 8).
MODEL = {"ir_version": 1, "producer_name": 2, "graph": 7, "opset_import": 8}
OPSET = {"domain": 1, "version": 2}
GRAPH = {"node": 1, "name": 2, "initializer": 5, "input": 11, "output": 12, "value_info": 13}
NODE = {"input": 1, "output": 2, "name": 3, "op_type": 4, "attribute": 5, "domain": 7}
ATTRIBUTE = {"name": 1, "f": 2, "i": 3, "s": 4, "t": 5, "floats": 7, "ints": 8, "strings": 9,
             "type": 20}
ATTRIBUTE_TYPE = {"f": 1, "i": 2, "s": 3, "t": 4, "floats": 6, "ints": 7, "strings": 8}
TENSOR = {"dims": 1, "data_type": 2, "float_data": 4, "int32_data": 5, "int64_data": 7, "name": 8,
          "raw_data": 9}
VALUE_INFO = {"name": 1, "type": 2}
TYPE = {"tensor_type": 1}
TENSOR_TYPE = {"elem_type": 1, "shape": 2}
SHAPE = {"dim": 1}
DIMENSION = {"dim_value": 1, "dim_param": 2}

# name: number in TensorProto.DataType, struct code, field of the numbers that are not raw.
DTYPES = {
    "float32": (1, "f", "float_data"), "uint8": (2, "B", "int32_data"),
    "int8": (3, "b", "int32_data"), "int32": (6, "i", "int32_data"),
    "int64": (7, "q", "int64_data"), "bool": (9, "?", "int32_data"),
    "float16": (10, "e", "int32_data"),
}


# ---- protobuf wire format: a key (number << 3 | wire type), then the value -----------------------

def varint(value):
    """Seven bits a byte, low ones first; a negative number as its 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field, value):
    return varint(field << 3) + varint(value)


def number(field, value):
    """A 32-bit float."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def block(field, data):
    """A string, bytes, a message or packed numbers."""
    data = data.encode() if isinstance(data, str) else bytes(data)
    return varint(field << 3 | 2) + varint(len(data)) + data


# ---- messages ------------------------------------------------------------------------------------

def elements(shape):
    count = 1
    for dim in shape:
        count *= dim
    return count


def packed(dtype, numbers):
    """The little-endian bytes of a list of numbers."""
    return struct.pack(f"<{len(numbers)}{DTYPES[dtype][1]}", *numbers)


def typed_data(dtype, data):
    """float_data and so on, for numbers that are not stored raw; float16 as its bits."""
    _, code, place = DTYPES[dtype]
    code = "H" if dtype == "float16" else code
    numbers = struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)
    if place == "float_data":
        return block(TENSOR[place], data)
    return block(TENSOR[place], b"".join(varint(int(n)) for n in numbers))


def tensor(shape, dtype="float32", data=None, name="", raw=True):
    """The bytes of a TensorProto. `data`: bytes, a list of numbers, or None for zeros."""
    if data is None:
        data = bytes(elements(shape) * struct.calcsize("<" + DTYPES[dtype][1]))
    elif not isinstance(data, (bytes, bytearray)):
        data = packed(dtype, data)
    out = b"".join(integer(TENSOR["dims"], dim) for dim in shape)
    out += integer(TENSOR["data_type"], DTYPES[dtype][0])
    out += block(TENSOR["name"], name) if name else b""
    return out + (block(TENSOR["raw_data"], data) if raw else typed_data(dtype, data))


class Tensor:
    """A tensor as the value of an attribute."""

    def __init__(self, shape, dtype="float32", data=None):
        self.message = tensor(shape, dtype, data)


def attribute(name, value):
    """The bytes of an AttributeProto; the Python type says which kind. An empty list is `ints`."""
    if isinstance(value, Tensor):
        kind, fields = "t", block(ATTRIBUTE["t"], value.message)
    elif isinstance(value, (str, bytes)):
        kind, fields = "s", block(ATTRIBUTE["s"], value)
    elif isinstance(value, float):
        kind, fields = "f", number(ATTRIBUTE["f"], value)
    elif isinstance(value, int):
        kind, fields = "i", integer(ATTRIBUTE["i"], value)
    else:
        first = value[0] if len(value) else 0
        kind, write = {float: ("floats", number), str: ("strings", block)}.get(
            type(first), ("ints", integer))
        fields = b"".join(write(ATTRIBUTE[kind], v) for v in value)
    return block(ATTRIBUTE["name"], name) + fields + integer(ATTRIBUTE["type"],
                                                             ATTRIBUTE_TYPE[kind])


def value_info(name, shape, dtype):
    """A shape of None is left out; a dimension is a number, a symbol's name, or None (unknown)."""
    fields = integer(TENSOR_TYPE["elem_type"], DTYPES[dtype][0])
    if shape is not None:
        dims = b""
        for dim in shape:
            one = b""
            if isinstance(dim, str):
                one = block(DIMENSION["dim_param"], dim)
            elif dim is not None:
                one = integer(DIMENSION["dim_value"], dim)
            dims += block(SHAPE["dim"], one)
        fields += block(TENSOR_TYPE["shape"], dims)
    return block(VALUE_INFO["name"], name) + block(
        VALUE_INFO["type"], block(TYPE["tensor_type"], fields))


class Model:
    """Collects a graph. What makes a value returns its name, to be an input of other nodes."""

    def __init__(self, opset=13, ir_version=7, name="graph", domains=()):
        """`domains`: further operator sets, (domain, version)."""
        self.ir_version = ir_version
        self.name = name
        self.opsets = [("", opset), *domains]
        self.names = set()
        self.parts = {part: [] for part in ("node", "initializer", "input", "output",
                                            "value_info")}

    def fresh(self, stem):
        """A name that no value of this model has yet."""
        n = 0
        while f"{stem}_{n}" in self.names:
            n += 1
        return f"{stem}_{n}"

    def add(self, part, name, message):
        self.names.add(name)
        self.parts[part].append(message)
        return name

    def input(self, name, shape, dtype="float32"):
        return self.add("input", name, value_info(name, shape, dtype))

    def initializer(self, name, shape, dtype="float32", data=None, raw=True):
        return self.add("initializer", name, tensor(shape, dtype, data, name, raw))

    def value(self, name, shape, dtype="float32"):
        """States the type of a value inside the graph."""
        return self.add("value_info", name, value_info(name, shape, dtype))

    def output(self, name, shape=None, dtype="float32"):
        return self.add("output", name, value_info(name, shape, dtype))

    def node(self, op_type, inputs, outputs=None, domain="", name="", **attributes):
        """Returns the name of its only output, or the list of names. `outputs`: names, or how many
        to invent; an input "" is left out."""
        if outputs is None:
            outputs = 1
        if isinstance(outputs, int):
            made = []
            for _ in range(outputs):
                made.append(self.fresh(op_type.lower()))
                self.names.add(made[-1])
            outputs = made
        self.names.update(outputs)
        message = b"".join(block(NODE["input"], i) for i in inputs)
        message += b"".join(block(NODE["output"], o) for o in outputs)
        message += block(NODE["name"], name) if name else b""
        message += block(NODE["op_type"], op_type)
        message += b"".join(block(NODE["attribute"], attribute(k, v))
                            for k, v in attributes.items())
        message += block(NODE["domain"], domain) if domain else b""
        self.parts["node"].append(message)
        return outputs[0] if len(outputs) == 1 else outputs

    def bytes(self):
        graph = b"".join(block(GRAPH["node"], node) for node in self.parts["node"])
        graph += block(GRAPH["name"], self.name)
        for part in ("initializer", "input", "output", "value_info"):
            graph += b"".join(block(GRAPH[part], message) for message in self.parts[part])
        out = integer(MODEL["ir_version"], self.ir_version)
        out += block(MODEL["producer_name"], "onnx_file.py")
        out += block(MODEL["graph"], graph)
        for domain, version in self.opsets:
            fields = block(OPSET["domain"], domain) if domain else b""
            out += block(MODEL["opset_import"], fields + integer(OPSET["version"], version))
        return out

    def write(self, path):
        pathlib.Path(path).write_bytes(self.bytes())
        return str(path)
