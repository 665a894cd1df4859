#!/usr/bin/env python3
"""`memnet memory` on ONNX files: figures to the byte, MLPerf Tiny's chain, refusals.

Usage: test_memory_onnx.py MEMNET
The MLPerf Tiny models are looked for in $MEMNET_DATA/mlperf-tiny.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnx_file import Model  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bench" / "tflite_to_onnx.py"
MEMNET = ""


def small_network(path):
    """1x2x8x8 -> conv 4 -> relu -> depthwise -> sigmoid -> sum with the relu's value -> 10 numbers."""
    m = Model(opset=13)
    x = m.input("x", ("N", 2, 8, 8))
    x = m.node("Conv", [x, m.initializer("w", (4, 2, 3, 3))], kernel_shape=[3, 3],
               pads=[1, 1, 1, 1])
    r = m.node("Relu", [x])
    d = m.node("Conv", [r, m.initializer("d", (4, 1, 3, 3))], kernel_shape=[3, 3],
               pads=[1, 1, 1, 1], group=4)
    s = m.node("Add", [m.node("Sigmoid", [d], name="/block/block.1/a/rather/long/path/gate"), r])
    f = m.node("Flatten", [s])
    y = m.node("Gemm", [f, m.initializer("g", (256, 10))])
    m.output(y, ("N", 10))
    m.write(path)


class Onnx(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_memnet(self, *args):
        return subprocess.run([MEMNET, *map(str, args)], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=300)

    def memory(self, path):
        result = self.run_memnet("memory", path, "--json")
        self.assertEqual((result.returncode, result.stderr), (0, ""), path)
        return json.loads(result.stdout)

    def refused(self, *args, says):
        result = self.run_memnet(*args)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Amemnet[^\n]*\n\Z")
        self.assertIn(says, result.stderr)

    def test_small_network(self):
        """Values of 1,024 bytes; the relu's lives on, so the depthwise result is a second one, and
        the sigmoid, which never writes in place, a third."""
        small_network(self.folder / "small.onnx")
        got = self.memory("small.onnx")
        self.assertEqual(got["precision"], "as in the file")
        self.assertEqual(got["weights_bytes"], 4 * (4 * 2 * 9 + 4 * 9 + 256 * 10))
        self.assertEqual(got["arena_bytes"], 3 * 1024)
        self.assertEqual(got["lower_bound_bytes"], 3 * 1024)
        self.assertEqual(got["peak_bytes"], 3 * 1024)
        self.assertTrue(got["order_proven"] and got["offsets_proven"])
        self.assertEqual([step["op"] for step in got["steps"]],
                         ["conv", "conv", "opaque", "add", "fully_connected"])
        self.assertEqual([step["in_place"] for step in got["steps"]],
                         [False, False, False, True, False])
        self.assertEqual(got["macs"], 64 * (4 * 2 * 9 + 4 * 9) + 256 * 10)

    def test_views_of_it(self):
        small_network(self.folder / "small.onnx")
        text = self.run_memnet("memory", "small.onnx", "--timeline", "--svg", "small.svg")
        self.assertEqual((text.returncode, text.stderr), (0, ""))
        self.assertIn("smallest possible", text.stdout)
        self.assertIn(" ...a/rather/long/path/gate ", text.stdout)
        self.assertTrue((self.folder / "small.svg").exists())
        table = self.run_memnet("memory", "small.onnx", "small.onnx", "--compare")
        self.assertEqual(table.stdout.count("small.onnx"), 2)

    def test_refusals(self):
        small_network(self.folder / "small.onnx")
        whole = (self.folder / "small.onnx").read_bytes()
        (self.folder / "cut.onnx").write_bytes(whole[:-7])
        (self.folder / "empty.onnx").write_bytes(b"")
        self.refused("memory", "cut.onnx", says="cut.onnx")
        self.refused("memory", "empty.onnx", says="empty.onnx")
        self.refused("memory", "none.onnx", says="none.onnx")
        self.refused("export", "small.onnx", "--format", "c", "--out", "c", says="sizes")
        self.assertFalse((self.folder / "c").exists())

    def test_mlperf_tiny(self):
        """The buffer chain of the visual wake words model: 48x48x8 -> 48x48x16, a byte each."""
        data = pathlib.Path(os.environ.get("MEMNET_DATA", "")) / "mlperf-tiny"
        models = sorted(data.glob("*.tflite")) if os.environ.get("MEMNET_DATA") else []
        if not models:
            self.skipTest("no $MEMNET_DATA/mlperf-tiny")
        subprocess.run([sys.executable, SCRIPT, "--to", self.folder, *models], check=True,
                       stdout=subprocess.DEVNULL)
        arenas = {}
        for path in sorted(self.folder.glob("*.onnx")):
            got = self.memory(path.name)
            arenas[path.stem] = got["arena_bytes"]
            self.assertEqual(got["arena_bytes"], got["lower_bound_bytes"], path.name)
            self.assertTrue(got["order_proven"] and got["offsets_proven"], path.name)
        self.assertEqual(arenas["vww_mobilenet025_96_int8"], 48 * 48 * 8 + 48 * 48 * 16)
        self.assertEqual(arenas["vww_mobilenet025_96_fp32"], 4 * 55296)
        self.assertEqual(arenas["ic_resnet8_int8"], 49152)
        self.assertEqual(arenas["kws_dscnn_int8"], 16000)


if __name__ == "__main__":
    MEMNET = os.path.abspath(sys.argv.pop(1))
    unittest.main()
