#!/usr/bin/env python3
"""Time of one inference in ONNX Runtime, on one thread: the peer of exported code on a computer.

Usage: bench/onnxruntime.py [--memnet build/memnet] [--runtime build/onnxruntime] [--repeats N] FILE...

FILE: a model (.safetensors), which is exported as ONNX float32 first, or an ONNX file of memnet.
Prints for each the median of N inferences (default 2000) in microseconds, images of noise, and the
multiply-adds. tools/onnxruntime.sh installs the runtime.
"""
import argparse
import array
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNNER = ROOT / "tests" / "e2e" / "onnxruntime_run.js"
WARM_UP = 50


def run(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip() or "%s failed" % command[0])
    return done.stdout


def input_shape(path):
    """(rows, columns, channels), from the architecture in the file's metadata."""
    found = re.search(rb'"input": ?\[(\d+), ?(\d+), ?(\d+)\]', path.read_bytes())
    if found is None:
        sys.exit("%s: no architecture of memnet in it" % path)
    return [int(n) for n in found.groups()]


def measure(options, name, folder):
    path = pathlib.Path(name)
    if path.suffix != ".onnx":
        path = folder / "model.onnx"
        run(options.memnet, "export", name, "--format", "onnx", "--out", path, "--force")
    rows, columns, channels = input_shape(path)
    noise = random.Random(1)
    pixels = array.array("f", (noise.uniform(-1, 1)
                               for _ in range(WARM_UP * rows * columns * channels)))
    (folder / "images").write_bytes(pixels.tobytes())
    said = json.loads(run("node", RUNNER, options.runtime, path,
                          "1,%d,%d,%d" % (channels, rows, columns), "all", folder / "images",
                          folder / "logits", options.repeats))
    macs = json.loads(run(options.memnet, "memory", path, "--json"))["macs"]
    print("%10.1f us  %14s multiply-adds  %s" % (said["median_us"], format(macs, ","), name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--memnet", default=ROOT / "build" / "memnet")
    parser.add_argument("--runtime", default=ROOT / "build" / "onnxruntime")
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.files:
            measure(options, name, pathlib.Path(folder))


if __name__ == "__main__":
    main()
