#!/usr/bin/env python3
"""Reads a safetensors file with nothing but the standard library and prints what is in it.

Shares no code with the library, so that it can tell whether others can open what memnet writes.
Usage: read_safetensors.py FILE
Prints one line for each metadata string and for each tensor, in the order of the header; exits
with a message when the file breaks the format.
"""
import json
import struct
import sys

CODES = {"F32": "f", "I32": "i", "I8": "b", "U8": "B"}


def main():
    with open(sys.argv[1], "rb") as stream:
        block = stream.read()
    (length,) = struct.unpack_from("<Q", block)
    text, data = block[8:8 + length], block[8 + length:]
    if len(text) != length or text[:1] != b"{":
        sys.exit("the header is cut short or does not begin with '{'")
    if (8 + length) % 64 != 0:
        sys.exit(f"the data begin at {8 + length}, not at a multiple of 64")
    header = json.loads(text.decode("utf-8"))
    for key, value in header.pop("__metadata__", {}).items():
        print("metadata", json.dumps(key), json.dumps(value))
    places = []
    for name, info in header.items():
        begin, end = info["data_offsets"]
        code = CODES[info["dtype"]]
        elements = 1
        for dim in info["shape"]:
            elements *= dim
        if begin % struct.calcsize(code) != 0:
            sys.exit(f"{name}: the data are not aligned to their element")
        if elements * struct.calcsize(code) != end - begin:
            sys.exit(f"{name}: {elements} elements, but {end - begin} bytes")
        numbers = struct.unpack(f"<{elements}{code}", data[begin:end])
        print(json.dumps(name), info["dtype"], info["shape"], *numbers)
        places.append((begin, end))
    reached = 0
    for begin, end in sorted(places):
        if begin != reached:
            sys.exit(f"a hole or an overlap at byte {reached} of the data")
        reached = end
    if reached != len(data):
        sys.exit(f"{len(data)} bytes of data, but the tensors end at {reached}")


if __name__ == "__main__":
    main()
