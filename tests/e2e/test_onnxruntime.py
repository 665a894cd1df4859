#!/usr/bin/env python3
"""Exported ONNX files in ONNX Runtime: the numbers are memnet's own.

Usage: test_onnxruntime.py MEMNET ONNX_DRIVER FOLDER
FOLDER: where tools/onnxruntime.sh has installed ONNX Runtime for Node.js; MEMNET_ONNXRUNTIME
overrides it. Without node or the package everything here is skipped, and said so.
"""
import array
import gzip
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnx_file import GRAPH, MODEL, block, value_info  # noqa: E402

RUNNER = pathlib.Path(__file__).with_name("onnxruntime_run.js")
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
SKIPPED = 77
MEMNET = DRIVER = RUNTIME = ""

# Reads raw images as `classify` does and prints what the exported code computes, as floats.
LOGITS_C = """
#include <stdio.h>
#include "model.h"
int main(void)
{
    unsigned char image[MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS];
    while (fread(image, sizeof image, 1, stdin) == 1) {
        for (size_t i = 0; i < sizeof image; i++)
            memnet_input()[i] = ((float)image[i] - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE;
        memnet_invoke();
        fwrite(memnet_output(), sizeof(float), MODEL_CLASSES, stdout);
    }
    return 0;
}
"""


def floats(data):
    numbers = array.array("f")
    numbers.frombytes(data)
    return numbers


def fashion_mnist(folder, train, test):
    """The first images of Fashion-MNIST as a data set of their own: (spec, pixels of the test)."""
    for part, count in (("train", train), ("t10k", test)):
        for kind, head, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            name = "%s-%s-ubyte" % (part, kind)
            with gzip.open(FASHION / (name + ".gz")) as file:
                whole = file.read(head + count * size)
            (folder / name).write_bytes(whole[:4] + struct.pack(">I", count) + whole[8:])
    return "idx:%s" % folder, (folder / "t10k-images-idx3-ubyte").read_bytes()[16:]


def network(classes):
    """Every op and both combinations, small."""
    return {
        "format": 1, "input": [28, 28, 1], "classes": classes, "stem": {"width": 6, "stride": 1},
        "blocks": [
            {"stride": 2, "width": 8, "cells": [
                {"in": [0, 0], "op": ["conv_3x3", "max_pool_3x3"], "combine": "add", "out": False},
                {"in": [0, 1], "op": ["sep_conv_3x3", "identity"], "combine": "concat",
                 "out": True},
                {"in": [1, 1], "op": ["avg_pool_3x3", "conv_1x7_7x1"], "combine": "add",
                 "out": True}]},
            {"stride": 2, "width": 12, "cells": [
                {"in": [0, 0], "op": ["dil_conv_3x3", "sep_conv_5x5"], "combine": "add",
                 "out": True},
                {"in": [1, 0], "op": ["max_pool_3x3", "identity"], "combine": "add", "out": True}]},
        ],
        "head": "gap",
    }


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_onnx(self, model, images, dims, level="all"):
        """(what the runner says, logits) of raw floats in (N,C,H,W); dims "1,C,H,W"."""
        (self.folder / "images").write_bytes(images)
        done = subprocess.run(
            ["node", RUNNER, RUNTIME, model, dims, level, self.folder / "images",
             self.folder / "logits"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout), floats((self.folder / "logits").read_bytes())

    def same(self, got, expected, within):
        self.assertEqual(len(got), len(expected))
        worst = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(got, expected))
        self.assertLessEqual(worst, within)


def best(logits, classes):
    return [max(range(classes), key=lambda k: logits[i + k])
            for i in range(0, len(logits), classes)]


def channels_last(value):
    """The bytes of an image (1,C,H,W) or a vector (1,C) in the order (H,W,C)."""
    channels = value["dims"][1]
    pixels = len(value["data"]) // channels
    return [value["data"][c * pixels + p] for p in range(pixels) for c in range(channels)]


class EveryPrimitive(Case):
    """A network with random weights; the logits are by the definitions, in double."""

    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"
        self.out.mkdir()
        subprocess.run([DRIVER, self.out], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def logits(self, name, level="all"):
        return self.run_onnx(self.out / name, (self.out / "images").read_bytes(), "1,3,7,6", level)

    def test_float32(self):
        said, got = self.logits("network.onnx")
        self.assertEqual((said["inputs"], said["outputs"]), (["input"], ["logits"]))
        self.assertEqual((said["output_dims"], said["count"]), ([1, 4], 40))
        self.same(got, floats((self.out / "float32").read_bytes()), 1e-4)

    def test_int8(self):
        """Op by op in float the grids are met exactly, but for halves: they round to even in one
        and up in the other. The runtime's integer ops round in between as well."""
        expected = floats((self.out / "int8").read_bytes())
        floating = floats((self.out / "float32").read_bytes())
        step = float((self.out / "step").read_text())
        for level, most, mean in (("disabled", 1.5, 0.05), ("all", 4.5, 1.5)):
            _, got = self.logits("network-int8.onnx", level)
            steps = [abs(a - b) / step for a, b in zip(got, expected)]
            self.assertLessEqual(max(steps), most, level)
            self.assertLessEqual(sum(steps) / len(steps), mean, level)
            same = sum(a == b for a, b in zip(best(got, 4), best(expected, 4)))
            self.assertGreaterEqual(same, 39, level)
            self.assertGreater(max(abs(a - b) for a, b in zip(got, floating)), step / 2)


class Trained(Case):
    """A trained network on real test images, beside the exported C code. It is trained once."""
    images = 1000

    @classmethod
    def setUpClass(cls):
        if not FASHION.exists():
            raise unittest.SkipTest("no %s: NO REAL IMAGES ARE COMPARED" % FASHION)
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.spec, cls.pixels = fashion_mnist(cls.home, 8000, cls.images)
        cls.model = cls.home / "m.safetensors"
        (cls.home / "a.json").write_text(json.dumps(network(10)))
        subprocess.run([MEMNET, "train", cls.home / "a.json", "--data", cls.spec, "--epochs", "8",
                        "--threads", "1", "--out", cls.model], check=True,
                       stdout=subprocess.DEVNULL)

    def memnet(self, *args):
        return subprocess.run([MEMNET, *args], cwd=self.folder, check=True, stdout=subprocess.PIPE,
                              universal_newlines=True).stdout

    def c_logits(self):
        net = self.folder / "net"
        self.memnet("export", self.model, "--format", "c", "--out", net)
        (self.folder / "logits.c").write_text(LOGITS_C)
        sources = [p for p in net.glob("*.c") if p.name not in ("main.c", "model_labels.c")]
        subprocess.run(["cc", "-O2", "-std=c99", "-I", net, "-o", self.folder / "logits.exe",
                        self.folder / "logits.c", *sources], check=True)
        return floats(subprocess.run([self.folder / "logits.exe"], input=self.pixels, check=True,
                                     stdout=subprocess.PIPE).stdout)

    def preprocessing(self):
        with open(self.model, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        how = json.loads(header["__metadata__"]["preprocessing"])
        return how["mean"], how["scale"]

    def inputs(self):
        mean, scale = self.preprocessing()
        return array.array("f", ((p - mean) * scale for p in self.pixels)).tobytes()

    @unittest.skipIf(shutil.which("cc") is None, "no C compiler")
    def test_float32(self):
        model = self.folder / "m.onnx"
        self.memnet("export", self.model, "--format", "onnx", "--out", model)
        images = self.inputs()
        _, got = self.run_onnx(model, images, "1,1,28,28")
        self.same(got, self.c_logits(), 1e-4)
        self.memnet("eval", self.model, "--data", self.spec, "--predictions", "p")
        classes = [int(line) for line in (self.folder / "p").read_text().split()]
        self.assertEqual(len(classes), self.images)
        same = sum(a == b for a, b in zip(best(got, 10), classes))
        self.assertGreaterEqual(same, self.images - 1)  # but for a tie
        self.assertGreater(len(set(classes)), 5)

    def test_int8(self):
        """A quantised network, against its reference run on the kernels of exported code."""
        subprocess.run([DRIVER, self.folder, self.model, self.spec], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        model = self.folder / "network-int8.onnx"
        expected = [int(line) for line in (self.folder / "classes").read_text().split()]
        self.assertEqual(len(expected), self.images)
        for level, least in (("disabled", 990), ("all", 995)):
            _, got = self.run_onnx(model, self.inputs(), "1,1,28,28", level)
            same = sum(a == b for a, b in zip(best(got, 10), expected))
            print("same class, int8, %s: %d of %d" % (level, same, self.images))
            self.assertGreaterEqual(same, least, level)
        self.check_layers(model)

    def check_layers(self, int8):
        """Kernel by kernel on one image: the same bytes, but for halves that round the other way.
        Only average pools have them, and what reads those differs in turn."""
        layers = [line.split(" ") for line in (self.folder / "layers").read_text().splitlines()]
        data = (self.folder / "layers.bin").read_bytes()
        # A message's fields that come again are added to it: more outputs of the same graph.
        outputs = b"".join(block(GRAPH["output"], value_info(node + ":int8", None, "int8"))
                           for node, _, _ in layers)
        model = self.folder / "all.onnx"
        model.write_bytes(int8.read_bytes() + block(MODEL["graph"], outputs))
        (self.folder / "images").write_bytes(self.inputs()[:784 * 4])
        subprocess.run(["node", RUNNER, RUNTIME, model, "1,1,28,28", "disabled",
                        self.folder / "images", self.folder / "all.json"], check=True,
                       stdout=subprocess.DEVNULL)
        values = json.loads((self.folder / "all.json").read_text())
        exact = True
        for node, op, count in layers:
            theirs = channels_last(values[node + ":int8"])
            ours, data = array.array("b", data[:int(count)]), data[int(count):]
            self.assertEqual(len(ours), len(theirs), node)
            steps = sum(abs(a - b) for a, b in zip(ours, theirs))
            exact = exact and op != "avg_pool"
            self.assertLessEqual(steps, 0.002 * len(ours) if exact else 8 + 0.5 * len(ours), node)
        self.assertFalse(exact)
        self.assertGreater(len(layers), 20)


def main():
    global MEMNET, DRIVER, RUNTIME
    MEMNET, DRIVER, folder = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
    RUNTIME = os.environ.get("MEMNET_ONNXRUNTIME", folder)
    if shutil.which("node") is None:
        print("SKIPPED: NO EXPORTED ONNX FILE IS RUN: node is not there", file=sys.stderr)
        sys.exit(SKIPPED)
    if not os.path.isdir(os.path.join(RUNTIME, "node_modules", "onnxruntime-node")):
        print("SKIPPED: NO EXPORTED ONNX FILE IS RUN: ONNX Runtime is not in %s; see "
              "tools/onnxruntime.sh" % RUNTIME, file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()


if __name__ == "__main__":
    main()
