"""The activation arena that TensorFlow Lite Micro's GreedyMemoryPlanner would lay out.

Follows tensorflow/lite/micro of github.com/tensorflow/tflite-micro at 90b983c (August 2026):
- micro_allocation_info.cc: time 0 is the start, the i-th operator runs at time i + 1. An activation
  lives from the operator that makes it to the last one that reads it, both included; the graph's
  inputs from time 0, its outputs to the end. Nothing is computed in place: RESHAPE too has a buffer
  of its own (its kernel skips the copy only when an offline plan in the file's metadata laid both
  tensors on one place; such metadata are not read here).
- micro_allocator.cc: every size is rounded up to 16 bytes; buffers are added in order of tensors.
- greedy_memory_planner.cc: buffers by falling size, among equals the last added first; each goes to
  the lowest gap between the placed ones that are alive at the same time.

Only the activations: the persistent part of the real arena (tensor structs, quantisation tables,
variables) and scratch buffers come on top. The reference kernels ask for scratch only when weights
are int4; those of CMSIS-NN always do.
"""
ALIGNMENT = 16


def activations(model):
    """[(tensor, first, last)] of what the planner lays out, in order of tensors."""
    first, last = {}, {}
    for t in model.inputs:
        first[t] = last[t] = 0
    for time, operator in enumerate(model.operators, 1):
        for t in operator.outputs:
            first.setdefault(t, time)
        for t in operator.inputs + operator.outputs:
            last[t] = time
    for t in model.outputs:
        first.setdefault(t, len(model.operators))
        last[t] = len(model.operators)
    return [(t, first[t.index], last[t.index]) for t in model.tensors
            if t.index in first and t.data is None and t.bytes and not t.variable]


def place(buffers):
    """Offsets of `buffers`, a list of (bytes, first, last)."""
    offsets = [0] * len(buffers)
    placed = []
    for i in sorted(range(len(buffers)), key=lambda b: (-buffers[b][0], -b)):
        size, first, last = buffers[i]
        offset = 0
        for start, end, other_first, other_last in sorted(placed):
            if other_first > last or first > other_last:
                continue
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[i] = offset
        placed.append((offset, offset + size, first, last))
    return offsets


def greedy_bytes(model):
    buffers = [(-(-tensor.bytes // ALIGNMENT) * ALIGNMENT, first, last)
               for tensor, first, last in activations(model)]
    return max((offset + buffer[0] for offset, buffer in zip(place(buffers), buffers)), default=0)
