"""Reads a TensorFlow Lite model: its operators, tensors, quantisation and constants.

A flatbuffer, read by hand with the standard library only. Field numbers are places in the tables of
tensorflow/lite/schema/schema.fbs (in github.com/tensorflow/tflite-micro at 90b983c it lies in
tensorflow/compiler/mlir/lite/schema/); a union takes two places, its type and its value. Every
offset is checked against the file before it is followed: a damaged file ends in TfliteError.
"""
import math
import struct

# enum BuiltinOperator, those that have a name here; others are called by their number.
OPERATORS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL",
    19: "RELU", 21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX", 27: "SVDF", 32: "CUSTOM", 34: "PAD",
    39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 43: "SQUEEZE", 45: "STRIDED_SLICE", 49: "SPLIT",
    65: "SLICE", 70: "EXPAND_DIMS", 102: "SPLIT_V", 114: "QUANTIZE", 129: "CALL_ONCE",
    142: "VAR_HANDLE", 143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE",
}
PLACEHOLDER_FOR_GREATER_OP_CODES = 127

# enum TensorType: number -> name, bytes of one element.
TYPES = {
    0: ("float32", 4), 1: ("float16", 2), 2: ("int32", 4), 3: ("uint8", 1), 4: ("int64", 8),
    6: ("bool", 1), 7: ("int16", 2), 9: ("int8", 1), 13: ("resource", 4),
}

ACTIVATIONS = {0: None, 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}
PADDINGS = {0: "SAME", 1: "VALID"}

# operator -> (number in union BuiltinOptions, {name: (place, struct format, default)})
OPTIONS = {
    "CONV_2D": (1, {"padding": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0),
                    "activation": (3, "b", 0), "dilation_w": (4, "i", 1),
                    "dilation_h": (5, "i", 1)}),
    "DEPTHWISE_CONV_2D": (2, {"padding": (0, "b", 0), "stride_w": (1, "i", 0),
                              "stride_h": (2, "i", 0), "activation": (4, "b", 0),
                              "dilation_w": (5, "i", 1), "dilation_h": (6, "i", 1)}),
    "AVERAGE_POOL_2D": (5, {"padding": (0, "b", 0), "stride_w": (1, "i", 0),
                            "stride_h": (2, "i", 0), "filter_w": (3, "i", 0),
                            "filter_h": (4, "i", 0), "activation": (5, "b", 0)}),
    "FULLY_CONNECTED": (8, {"activation": (0, "b", 0), "weights_format": (1, "b", 0)}),
    "SOFTMAX": (9, {"beta": (0, "f", 0.0)}),
    "ADD": (11, {"activation": (0, "b", 0)}),
}
OPTIONS["MAX_POOL_2D"] = OPTIONS["AVERAGE_POOL_2D"]


class TfliteError(Exception):
    """One line that says what is wrong with the file."""


class Table:
    """A flatbuffer table: fields by their place, or the default where the file leaves them out."""

    def __init__(self, data, position):
        self.data = data
        self.position = position
        self.vtable = position - self.unpack("i", position)
        self.vtable_bytes = self.unpack("H", self.vtable)

    def unpack(self, code, position):
        if position < 0 or position + struct.calcsize(code) > len(self.data):
            raise TfliteError(f"truncated: byte {position} of {len(self.data)} is asked for")
        return struct.unpack_from("<" + code, self.data, position)[0]

    def field(self, place):
        """Where the field lies, or None."""
        entry = 4 + 2 * place
        if entry + 2 > self.vtable_bytes:
            return None
        offset = self.unpack("H", self.vtable + entry)
        return self.position + offset if offset else None

    def target(self, position):
        return position + self.unpack("I", position)

    def scalar(self, place, code, default=0):
        position = self.field(place)
        return default if position is None else self.unpack(code, position)

    def table(self, place):
        position = self.field(place)
        return None if position is None else Table(self.data, self.target(position))

    def span(self, place, element_bytes):
        """(position, count) of a vector, wholly inside the file; (0, 0) where there is none."""
        position = self.field(place)
        if position is None:
            return 0, 0
        start = self.target(position)
        count = self.unpack("I", start)
        end = start + 4 + count * element_bytes
        if end > len(self.data):
            raise TfliteError(f"truncated: a vector ends at byte {end} of {len(self.data)}")
        return start + 4, count

    def block(self, place):
        position, count = self.span(place, 1)
        return self.data[position:position + count]

    def numbers(self, place, code):
        position, count = self.span(place, struct.calcsize(code))
        return struct.unpack_from(f"<{count}{code}", self.data, position)

    def tables(self, place):
        position, count = self.span(place, 4)
        return [Table(self.data, self.target(position + 4 * i)) for i in range(count)]


class Tensor:
    """One tensor of the subgraph; `shape` is the file's, (N,H,W,C) for images."""

    def __init__(self, index, table, buffers):
        self.index = index
        self.shape = table.numbers(0, "i")
        number = table.scalar(1, "b")
        if number not in TYPES:
            raise TfliteError(f"tensor {index}: element type {number} is not known here")
        self.type, self.element_bytes = TYPES[number]
        self.name = table.block(3).decode("utf-8", "replace")
        self.variable = bool(table.scalar(5, "b"))
        self.scales, self.zero_points, self.quantized_dimension = (), (), 0
        quantization = table.table(4)
        if quantization is not None:
            self.scales = quantization.numbers(2, "f")
            self.zero_points = quantization.numbers(3, "q")
            self.quantized_dimension = quantization.scalar(6, "i")
        if any(n < 0 for n in self.shape):
            raise TfliteError(f"tensor {index}: shape {list(self.shape)}")
        self.bytes = math.prod(self.shape) * self.element_bytes
        buffer = table.scalar(2, "I")
        if buffer >= len(buffers):
            raise TfliteError(f"tensor {index}: buffer {buffer} out of range [0,{len(buffers)})")
        # Without data it is an activation.
        self.data = buffers[buffer].block(0) or None
        if self.data is not None and len(self.data) != self.bytes:
            raise TfliteError(f"tensor {index}: {self.bytes} bytes of shape {list(self.shape)}, "
                              f"but {len(self.data)} of data")


class Operator:
    """`inputs` and `outputs` are indices of tensors; an input that is left out is -1."""

    def __init__(self, index, table, codes, tensors):
        code = table.scalar(0, "I")
        if code >= len(codes):
            raise TfliteError(f"operator {index}: code {code} out of range [0,{len(codes)})")
        self.index = index
        self.kind = codes[code]
        self.inputs = table.numbers(1, "i")
        self.outputs = table.numbers(2, "i")
        for t in self.inputs + self.outputs:
            if not -1 <= t < tensors:
                raise TfliteError(f"operator {index}: tensor {t} out of range [0,{tensors})")
        self.options = {}
        if self.kind in OPTIONS:
            number, fields = OPTIONS[self.kind]
            options = table.table(4)
            if options is None or table.scalar(3, "B") != number:
                raise TfliteError(f"operator {index}: {self.kind} without its options")
            self.options = {name: options.scalar(*field) for name, field in fields.items()}


class Model:
    """The first subgraph of a file; `subgraphs` says how many there are."""

    def __init__(self, data):
        if len(data) < 8 or data[4:8] != b"TFL3":
            raise TfliteError("not a TensorFlow Lite model: no TFL3 at byte 4")
        root = Table(data, struct.unpack_from("<I", data, 0)[0])
        codes = [operator_name(code) for code in root.tables(1)]
        subgraphs = root.tables(2)
        if not subgraphs:
            raise TfliteError("no subgraph")
        self.subgraphs = len(subgraphs)
        main = subgraphs[0]
        buffers = root.tables(4)
        self.tensors = [Tensor(i, table, buffers) for i, table in enumerate(main.tables(0))]
        count = len(self.tensors)
        self.inputs, self.outputs = main.numbers(1, "i"), main.numbers(2, "i")
        for t in self.inputs + self.outputs:
            if not 0 <= t < count:
                raise TfliteError(f"tensor {t} of the graph's border out of range [0,{count})")
        self.operators = [Operator(i, table, codes, count)
                          for i, table in enumerate(main.tables(3))]


def operator_name(code):
    """Old files state the code in one byte, new ones in both fields."""
    number = code.scalar(0, "b")
    if number >= PLACEHOLDER_FOR_GREATER_OP_CODES or number < code.scalar(3, "i"):
        number = code.scalar(3, "i")
    return OPERATORS.get(number, f"BUILTIN_{number}")


def read(path):
    with open(path, "rb") as stream:
        return Model(stream.read())
