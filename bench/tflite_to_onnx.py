#!/usr/bin/env python3
"""States a TensorFlow Lite model as ONNX, so that `memnet memory` can be compared with what others
report for the same network, and prints what that network needs under TensorFlow Lite Micro.

Usage: tflite_to_onnx.py [--chain] [--greedy] [--to FOLDER] MODEL.tflite...

Prints one line a model. --to writes FOLDER/MODEL.onnx, --chain lists the activations in the order
of execution with the largest sum of one operator's input and output, --greedy adds the arena of
TensorFlow Lite Micro's planner (bench/tflm_arena.py says which version). A model that cannot be
stated faithfully is refused with one line. Only the standard library is needed.

What the ONNX file says:
- Images are (N,C,H,W) where TensorFlow Lite has (N,H,W,C); the graph's input too. A reshape that
  would give another order of elements is refused. Value tN is tensor N of the file.
- Constants are the file's own bytes, transposed: int8 weights, int32 biases, float32 scales.
- int8 weights beside float32 activations (kws_dscnn_fp32 of MLPerf Tiny) go through a
  DequantizeLinear node. TensorFlow Lite quantises the activations of such operators on the fly,
  which only rounds: ONNX's Conv and Gemm on the same weights stand for them.
- SAME padding is written as explicit pads, as tensorflow/lite/kernels/padding.h computes them.
- An int8 activation function is a clamp inside the operator. It needs no node where the clamp is
  the range of int8 itself (zero point -128, and for RELU6 a range that ends by 6), and is refused
  elsewhere. In float32 it is a Relu or Clip node, in place wherever a planner knows that.
- ONNX itself has QLinearConv, but no int8 pool, softmax or sum, and its QLinearMatMul takes no
  bias: leaving out the bias or computing in float32 between DequantizeLinear and QuantizeLinear
  would be another network with other buffers. Those four are ONNX Runtime's operators of domain
  com.microsoft: QGemm, QLinearAdd, QLinearAveragePool, QLinearSoftmax. Every value's type and shape
  is in value_info, so a reader that only counts bytes need not know them.
"""
import argparse
import collections
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "e2e")]
import onnx_file  # noqa: E402
import tflite_file  # noqa: E402
import tflm_arena  # noqa: E402
from tflite_file import ACTIVATIONS, PADDINGS, TfliteError  # noqa: E402
from tflite_layout import axis_padding, keeps_order, onnx_shape, permuted, transposed  # noqa: E402

ORT = "com.microsoft"


# ---- translation ---------------------------------------------------------------------------------

class Translation:
    """Writes one operator after the other into an onnx_file.Model."""

    def __init__(self, model):
        if model.subgraphs != 1:
            raise TfliteError(f"{model.subgraphs} subgraphs: only a plain network of one can be "
                              "stated")
        self.tensors = model.tensors
        self.onnx = onnx_file.Model(opset=13, ir_version=7, domains=[(ORT, 1)])
        self.written = set()
        for t in model.inputs:
            self.onnx.input(f"t{t}", onnx_shape(self.tensors[t]), self.tensors[t].type)
        for operator in model.operators:
            if operator.kind not in KINDS:
                raise TfliteError(f"operator {operator.index}: {operator.kind} is not translated")
            self.operator = operator
            KINDS[operator.kind](self)
            for t in operator.outputs:
                if t not in model.outputs:
                    self.onnx.value(f"t{t}", onnx_shape(self.tensors[t]), self.tensors[t].type)
        for t in model.outputs:
            self.onnx.output(f"t{t}", onnx_shape(self.tensors[t]), self.tensors[t].type)

    def refuse(self, why):
        raise TfliteError(f"operator {self.operator.index} ({self.operator.kind}): {why}")

    def need(self, condition, why):
        if not condition:
            self.refuse(why)

    # What the operator reads and writes.

    def activation(self, tensors, place, rank=None):
        self.need(place < len(tensors) and tensors[place] >= 0, f"has no operand {place}")
        tensor = self.tensors[tensors[place]]
        self.need(tensor.data is None, f"t{tensor.index} is a constant")
        self.need(not tensor.variable, f"t{tensor.index} is a variable: it keeps state")
        self.need(tensor.type in ("int8", "float32"), f"t{tensor.index} is {tensor.type}")
        self.need(rank in (None, len(tensor.shape)),
                  f"t{tensor.index} has shape {list(tensor.shape)}, expected rank {rank}")
        return tensor

    def ends(self, inputs=1, rank=None):
        """The activations that go in, and the one that comes out; all of one type."""
        ends = [self.activation(self.operator.inputs, i, rank) for i in range(inputs)]
        ends.append(self.activation(self.operator.outputs, 0, rank))
        types = {t.type for t in ends}
        self.need(len(types) == 1, f"mixes {' and '.join(sorted(types))}")
        return ends

    def constant(self, place, dtypes, rank):
        inputs = self.operator.inputs
        self.need(place < len(inputs) and inputs[place] >= 0, f"has no operand {place}")
        tensor = self.tensors[inputs[place]]
        self.need(tensor.data is not None, f"t{tensor.index} is not a constant")
        self.need(tensor.type in dtypes and len(tensor.shape) == rank,
                  f"t{tensor.index} is {tensor.type} {list(tensor.shape)}, expected "
                  f"{' or '.join(dtypes)} of rank {rank}")
        return tensor

    def weights_of(self, x, rank):
        """The second operand: int8 beside int8 activations, either type beside float32 ones."""
        return self.constant(1, ("int8",) if x.type == "int8" else ("float32", "int8"), rank)

    # Values of the ONNX file.

    def initializer(self, name, shape, dtype, data):
        """Written once, however many operators read it."""
        if name not in self.written:
            self.written.add(name)
            self.onnx.initializer(name, shape, dtype, data)
        return name

    def written_weights(self, tensor, permutation):
        data = transposed(tensor.data, tensor.element_bytes, tensor.shape, permutation)
        return self.initializer(f"t{tensor.index}", permuted(tensor.shape, permutation),
                                tensor.type, data)

    def real_weights(self, tensor, permutation, channels):
        """Weights for a float32 operator."""
        name = self.written_weights(tensor, permutation)
        if tensor.type == "float32":
            return name
        inputs = [name, *self.scale(tensor, channels)]
        shape = permuted(tensor.shape, permutation)
        self.onnx.value(name + "_real", shape)
        return self.onnx.node("DequantizeLinear", inputs, [name + "_real"], axis=0)

    def scale(self, tensor, channels=None):
        """The names of scale and zero point; one number each, or one a channel."""
        count = len(tensor.scales)
        self.need(count in (1, channels) and len(tensor.zero_points) == count,
                  f"t{tensor.index} has {count} scales and {len(tensor.zero_points)} zero points")
        self.need(all(-128 <= z <= 127 for z in tensor.zero_points),
                  f"t{tensor.index} has a zero point outside int8")
        shape = [] if count == 1 else [count]
        name = f"t{tensor.index}"
        return [self.initializer(name + "_scale", shape, "float32", tensor.scales),
                self.initializer(name + "_zero_point", shape, "int8", tensor.zero_points)]

    def quantised(self, tensor):
        return [f"t{tensor.index}", *self.scale(tensor)]

    def bias(self, x, weights, out):
        """The bias's names, none where there is none. int8: it counts in steps of x times weights,
        up to what TensorFlow Lite's GetQuantizedConvolutionMultipler lets pass."""
        inputs = self.operator.inputs
        if len(inputs) < 3 or inputs[2] < 0:
            return []
        bias = self.constant(2, ("int32" if x.type == "int8" else "float32",), 1)
        if x.type == "int8":
            steps = [x.scales[0] * s for s in weights.scales]
            self.need(len(steps) == len(bias.scales) and
                      all(abs(s - b) <= 0.02 * out.scales[0] for s, b in zip(steps, bias.scales)),
                      f"t{bias.index} has other scales than input times weights")
        return [self.written_weights(bias, (0,))]

    def clamp(self, out):
        """Where the operator writes: out itself, or what the activation's node reads."""
        function = ACTIVATIONS.get(self.operator.options["activation"], "unknown")
        self.need(function in (None, "RELU", "RELU6"), f"fused activation {function}")
        name = f"t{out.index}"
        if function is None:
            return name
        if out.type == "int8":
            top = (127 - out.zero_points[0]) * out.scales[0]
            self.need(out.zero_points[0] == -128 and (function == "RELU" or top <= 6.001),
                      f"{function} cuts the int8 range of t{out.index} short")
            return name
        self.onnx.value(name + "_linear", onnx_shape(out))
        return name + "_linear"

    def activate(self, source, out):
        """The node of a float32 activation function."""
        name = f"t{out.index}"
        if source == name:
            return
        if ACTIVATIONS[self.operator.options["activation"]] == "RELU":
            self.onnx.node("Relu", [source], [name])
        else:
            limits = [self.initializer("zero", [], "float32", [0.0]),
                      self.initializer("six", [], "float32", [6.0])]
            self.onnx.node("Clip", [source, *limits], [name])

    def window(self, x, out, height, width):
        """The attributes of a window, after its output's size was checked."""
        options = self.operator.options
        padding = PADDINGS.get(options["padding"])
        self.need(padding is not None, f"padding {options['padding']}")
        strides = [options["stride_h"], options["stride_w"]]
        dilations = [options.get("dilation_h", 1), options.get("dilation_w", 1)]
        self.need(min(strides + dilations + [height, width]) > 0,
                  f"window {height}x{width}, strides {strides}, dilations {dilations}")
        pads = [axis_padding(padding, *axis)
                for axis in zip(x.shape[1:3], (height, width), strides, dilations)]
        expected = (x.shape[0], pads[0][2], pads[1][2])
        self.need(out.shape[:3] == expected,
                  f"t{out.index} has shape {list(out.shape)}, expected {list(expected)} and "
                  "channels")
        return {"kernel_shape": [height, width], "strides": strides,
                "pads": [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]}, dilations

    # Operators.

    def convolution(self, depthwise):
        x, out = self.ends(rank=4)
        weights = self.weights_of(x, 4)
        kernel, height, width, last = weights.shape
        group = x.shape[3] if depthwise else 1
        if depthwise:
            # (1,H,W,O) to (O,1,H,W): output o reads input o * C / O, in both.
            channels, permutation = last, (3, 0, 1, 2)
            self.need(kernel == 1 and group > 0 and channels % group == 0,
                      f"weights {list(weights.shape)} on {group} channels")
        else:
            channels, permutation = kernel, (0, 3, 1, 2)
            self.need(last == x.shape[3], f"weights {list(weights.shape)} on {x.shape[3]} channels")
        self.need(channels == out.shape[3], f"{channels} kernels for {out.shape[3]} channels")
        attributes, dilations = self.window(x, out, height, width)
        attributes.update(dilations=dilations, group=group)
        if x.type == "int8":
            inputs = self.quantised(x) + [self.written_weights(weights, permutation)]
            inputs += self.scale(weights, channels) + self.scale(out)
            inputs += self.bias(x, weights, out)
            self.onnx.node("QLinearConv", inputs, [self.clamp(out)], **attributes)
            return
        inputs = [f"t{x.index}", self.real_weights(weights, permutation, channels),
                  *self.bias(x, weights, out)]
        linear = self.onnx.node("Conv", inputs, [self.clamp(out)], **attributes)
        self.activate(linear, out)

    def conv_2d(self):
        self.convolution(depthwise=False)

    def depthwise_conv_2d(self):
        self.convolution(depthwise=True)

    def fully_connected(self):
        x, out = self.ends(rank=2)
        weights = self.weights_of(x, 2)
        self.need(self.operator.options["weights_format"] == 0, "shuffled weights")
        self.need(weights.shape == (out.shape[1], x.shape[1]) and x.shape[0] == out.shape[0],
                  f"weights {list(weights.shape)} from {list(x.shape)} to {list(out.shape)}")
        if x.type == "int8":
            inputs = self.quantised(x) + [self.written_weights(weights, (0, 1))]
            inputs += self.scale(weights, out.shape[1])
            inputs += (self.bias(x, weights, out) or [""]) + self.scale(out)
            self.onnx.node("QGemm", inputs, [self.clamp(out)], domain=ORT, transB=1)
            return
        inputs = [f"t{x.index}", self.real_weights(weights, (0, 1), out.shape[1]),
                  *self.bias(x, weights, out)]
        linear = self.onnx.node("Gemm", inputs, [self.clamp(out)], transB=1)
        self.activate(linear, out)

    def average_pool_2d(self):
        x, out = self.ends(rank=4)
        options = self.operator.options
        attributes, _ = self.window(x, out, options["filter_h"], options["filter_w"])
        self.need(x.shape[3] == out.shape[3], f"from {x.shape[3]} to {out.shape[3]} channels")
        attributes["count_include_pad"] = 0
        if x.type == "int8":
            self.onnx.node("QLinearAveragePool", self.quantised(x) + self.scale(out),
                           [self.clamp(out)], domain=ORT, **attributes)
            return
        linear = self.onnx.node("AveragePool", [f"t{x.index}"], [self.clamp(out)], **attributes)
        self.activate(linear, out)

    def add(self):
        a, b, out = self.ends(inputs=2)
        self.need(a.shape == b.shape == out.shape, "operands of different shapes")
        if a.type == "int8":
            self.onnx.node("QLinearAdd", self.quantised(a) + self.quantised(b) + self.scale(out),
                           [self.clamp(out)], domain=ORT)
            return
        linear = self.onnx.node("Add", [f"t{a.index}", f"t{b.index}"], [self.clamp(out)])
        self.activate(linear, out)

    def softmax(self):
        x, out = self.ends()
        self.need(self.operator.options["beta"] == 1.0, f"beta {self.operator.options['beta']}")
        self.need(x.shape == out.shape and x.shape, f"from {list(x.shape)} to {list(out.shape)}")
        axis = 1 if len(x.shape) == 4 else len(x.shape) - 1
        if x.type == "int8":
            self.onnx.node("QLinearSoftmax", self.quantised(x) + self.scale(out),
                           [f"t{out.index}"], domain=ORT, axis=axis, opset=13)
        else:
            self.onnx.node("Softmax", [f"t{x.index}"], [f"t{out.index}"], axis=axis)

    def reshape(self):
        x, out = self.ends()
        self.need(x.bytes == out.bytes and keeps_order(x) and keeps_order(out),
                  f"{list(x.shape)} to {list(out.shape)} has another order of elements in "
                  "(N,C,H,W)")
        self.need((x.scales, x.zero_points) == (out.scales, out.zero_points), "changes the scale")
        shape = onnx_shape(out)
        target = self.initializer(f"t{out.index}_shape", [len(shape)], "int64", shape)
        self.onnx.node("Reshape", [f"t{x.index}", target], [f"t{out.index}"])

    def convert(self, source, target, op_type):
        x = self.activation(self.operator.inputs, 0)
        out = self.activation(self.operator.outputs, 0)
        self.need((x.type, out.type) == (source, target), f"from {x.type} to {out.type}")
        scale = self.scale(out if target == "int8" else x)
        self.onnx.node(op_type, [f"t{x.index}", *scale], [f"t{out.index}"])

    def quantize(self):
        self.convert("float32", "int8", "QuantizeLinear")

    def dequantize(self):
        self.convert("int8", "float32", "DequantizeLinear")


KINDS = {
    "ADD": Translation.add, "AVERAGE_POOL_2D": Translation.average_pool_2d,
    "CONV_2D": Translation.conv_2d, "DEPTHWISE_CONV_2D": Translation.depthwise_conv_2d,
    "DEQUANTIZE": Translation.dequantize, "FULLY_CONNECTED": Translation.fully_connected,
    "QUANTIZE": Translation.quantize, "RESHAPE": Translation.reshape,
    "SOFTMAX": Translation.softmax,
}


# ---- what is printed -----------------------------------------------------------------------------

def summary(name, model):
    kinds = collections.Counter(operator.kind for operator in model.operators)
    constants = sum(t.bytes for t in model.tensors if t.data is not None)
    return (f"{name}: {len(model.operators)} operators, {constants:,} bytes of constants: " +
            ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))


def line(kind, tensor, more=""):
    shape = "x".join(str(n) for n in tensor.shape)
    name = f"t{tensor.index}"
    return f"  {kind:<18} {name:>5} {shape:>14} {tensor.type:>8} {tensor.bytes:>10,}{more}"


def chain(model):
    """The lines of --chain; constants and left-out operands are no activations."""
    lines = [line("input", model.tensors[t]) for t in model.inputs]
    largest, where = 0, ""
    for operator in model.operators:
        touched = {t for t in operator.inputs + operator.outputs
                   if t >= 0 and model.tensors[t].data is None}
        total = sum(model.tensors[t].bytes for t in touched)
        if total > largest:
            largest, where = total, f" (operator {operator.index}, {operator.kind})"
        lines += [line(operator.kind, model.tensors[t], f"   with its inputs {total:,}")
                  for t in operator.outputs if t >= 0]
    return lines + [f"  largest input and output: {largest:,} bytes{where}"]


def translate(path, options):
    model = tflite_file.read(path)
    translation = Translation(model)
    print(summary(path.stem, model))
    if options.chain:
        print("\n".join(chain(model)))
    if options.greedy:
        print(f"  greedy arena: {tflm_arena.greedy_bytes(model):,} bytes")
    if options.to:
        translation.onnx.write(options.to / f"{path.stem}.onnx")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", metavar="MODEL.tflite", nargs="+", type=pathlib.Path)
    parser.add_argument("--chain", action="store_true", help="list the activations")
    parser.add_argument("--greedy", action="store_true",
                        help="the arena of TensorFlow Lite Micro's planner")
    parser.add_argument("--to", metavar="FOLDER", type=pathlib.Path, help="write ONNX files there")
    options = parser.parse_args()
    if options.to:
        options.to.mkdir(parents=True, exist_ok=True)
    for path in options.models:
        try:
            translate(path, options)
        except (TfliteError, OSError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            print(f"tflite_to_onnx: {path}: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
