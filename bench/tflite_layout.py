"""From TensorFlow Lite's layouts to ONNX's: shapes, weights, the padding of windows."""
import math


def permuted(items, permutation):
    return [items[p] for p in permutation]


def transposed(data, element_bytes, shape, permutation):
    """`data` of `shape` with its axes in another order, as numpy.transpose would give it."""
    strides = [math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    places = [0]
    for axis in permutation:
        places = [p + i * strides[axis] for p in places for i in range(shape[axis])]
    if element_bytes == 1:
        return bytes(data[p] for p in places)
    return b"".join(data[p * element_bytes:(p + 1) * element_bytes] for p in places)


def onnx_shape(tensor):
    """(N,H,W,C) as (N,C,H,W); other ranks as they are."""
    return permuted(tensor.shape, (0, 3, 1, 2)) if len(tensor.shape) == 4 else list(tensor.shape)


def keeps_order(tensor):
    """Whether the elements lie in the same order in both layouts."""
    if len(tensor.shape) != 4:
        return True
    _, height, width, channels = tensor.shape
    return channels == 1 or height * width == 1


def axis_padding(padding, size, window, stride, dilation):
    """(before, after, size of the output)."""
    reach = (window - 1) * dilation + 1
    if padding == "VALID":
        return 0, 0, (size - reach) // stride + 1
    out = -(-size // stride)
    total = max((out - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2, out
