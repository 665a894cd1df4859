#!/usr/bin/env python3
"""The program as a user runs it: help, every bad input, and train -> eval -> memory -> export.

Usage: test_cli.py MEMNET
"""
import ast
import fcntl
import json
import math
import os
import pathlib
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_data  # noqa: E402

MEMNET = ""
COMMANDS = ["search", "train", "eval", "quantize", "memory", "export", "status", "data"]


class Case(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_memnet(self, *args, **options):
        return subprocess.run([MEMNET, *args], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, timeout=300,
                              **options)

    def ok(self, *args):
        """Runs a command that must succeed in silence; returns its standard output."""
        result = self.run_memnet(*args)
        self.assertEqual((result.returncode, result.stderr), (0, ""), args)
        return result.stdout

    def refused(self, *args, code=1, says=""):
        """Runs a command that must fail: one line to stderr, nothing to stdout, nothing written."""
        before = self.listing()
        result = self.run_memnet(*args)
        self.assertEqual(result.returncode, code, (args, result.stderr))
        self.assertEqual(result.stdout, "", args)
        self.assertRegex(result.stderr, r"\Amemnet[^\n]*\n\Z", args)
        self.assertIn(says, result.stderr, args)
        self.assertEqual(self.listing(), before, args)

    def listing(self):
        return {(str(p), p.stat().st_size, p.stat().st_mtime_ns)
                for p in self.folder.rglob("*") if p.is_file()} | {
                    str(p) for p in self.folder.rglob("*") if p.is_dir()}


class Usage(Case):
    def test_program(self):
        text = self.ok("--help")
        for command in COMMANDS:
            self.assertRegex(text, r"(?m)^  %s  " % command)
        self.assertNotIn("worker", text)
        self.assertEqual(self.ok("help"), text)
        self.assertRegex(self.ok("--version"), r"\Amemnet \d+\.\d+\.\d+\n\Z")

    def test_commands(self):
        for command in COMMANDS + ["worker"]:
            text = self.ok(command, "--help")
            self.assertEqual(self.ok("help", command), text)
            self.assertTrue(text.startswith("usage: memnet %s " % command), text)
            self.assertIn("\noptions:\n", text)
            if command != "worker":
                self.assertIn("\nexamples:\n  memnet %s " % command, text)
            self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_examples(self):
        """The architectures of examples/ have the sizes that docs/training.md tells."""
        examples = pathlib.Path(__file__).parents[2] / "examples"
        expected = {"resnet8.json": 78042, "resnet20.json": 272474}
        self.assertEqual({path.name for path in examples.iterdir()}, set(expected))
        for name, parameters in expected.items():
            text = self.ok("memory", str(examples / name))
            self.assertRegex(text, r"(?m)^ +parameters +%s$" % format(parameters, ","))

    def test_mistakes(self):
        self.refused(code=2, says="memnet --help")
        for unknown in ("quantise", "predict", "report", "--bogus", ""):
            self.refused(unknown, code=2, says="unknown command '%s'" % unknown)
            self.refused("help", unknown, code=2, says="unknown command")
        for command in COMMANDS + ["worker"]:
            self.refused(command, "--bogus", code=2, says="unknown option --bogus")
            self.refused(command, "--bogus", code=2, says="memnet %s --help" % command)
            self.refused(command, "-Z", code=2, says="unknown option -Z")
            if command not in ("search", "worker"):
                self.refused(command, code=2, says="missing argument")
        self.refused("export", "m", "--format", "tflite", "--out", "x", code=2,
                     says="'tflite': expected c or onnx")
        self.refused("export", "m", "--format", "onnx", code=2, says="--out PATH")
        self.refused("train", "a.json", code=2, says="--data SPEC")
        self.refused("train", "a.json", "--data", code=2, says="--data needs an argument")
        self.refused("eval", "a", "b", "--data", "x", code=2, says="'b'")
        self.refused("search", "--data", "x", code=2, says="--memory")
        self.refused("search", "--data", "x", "--ram", "3K", code=2, says="--flash")
        self.refused("search", "--data", "x", "--ram", "3K", "--flash", "3K", "--memory", "9K",
                     code=2, says="excludes")
        self.refused("search", "--data", "x", "--memory", "3K", "--time", "1m", "--rounds", "1",
                     code=2, says="excludes")
        self.refused("search", "--data", "x", "--memory", "3K", "--preset", "paper", "--rungs", "2",
                     code=2, says="--preset paper has no --rungs")
        for size in ("0", "-1", "x", "1T", "99999999999999999999"):
            self.refused("search", "--data", "x", "--memory=" + size, code=2, says="--memory")

    def test_not_supported_yet(self):
        spec = tiny_data.write_npy(self.folder / "npy")
        tiny_data.write_architecture(self.folder / "a.json")
        with unittest.mock.patch.dict(os.environ, {"MEMNET_ISA": "avx2"}):
            self.refused("train", "a.json", "--data", spec, "--compute", "bf16",
                         says="this processor has no bf16 instructions")
        with unittest.mock.patch.dict(os.environ, {"MEMNET_ISA": "AVX2"}):
            self.refused("train", "a.json", "--data", spec, code=2,
                         says="MEMNET_ISA is 'AVX2': expected avx512, avx2 or portable")


class BadData(Case):
    def every_command(self, spec, says):
        """No command takes the data set."""
        tiny_data.write_architecture(self.folder / "a.json")
        self.refused("data", spec, says=says)
        self.refused("data", spec, "--json", says=says)
        self.refused("train", "a.json", "--data", spec, "--checkpoint", "c", says=says)
        self.refused("search", "--data", spec, "--memory", "16K", "--rounds", "1", says=says)

    def test_specs(self):
        for spec in ("bogus", "bogus:x", ""):
            self.every_command(spec, "")
        for kind in ("npy", "idx", "cifar10"):
            self.every_command(kind + ":nowhere", "nowhere")

    def test_npy(self):
        x, y = self.folder / "d/x_train.npy", self.folder / "d/y_train.npy"

        def broken(says, path, content):
            spec = tiny_data.write_npy(self.folder / "d")
            path.write_bytes(content)
            self.every_command(spec, says)

        spec = tiny_data.write_npy(self.folder / "d")
        whole = x.read_bytes()
        labels = y.read_bytes()[-80:]
        for count in (0, 5, 40, len(whole) - 1):
            broken("x_train.npy", x, whole[:count])
        broken("x_train.npy", x, b"\x93NUMPX" + whole[6:])
        broken("x_train.npy", x, tiny_data.npy("|u1", (0, 8, 8), b""))
        broken("x_train.npy", x, tiny_data.npy("|u1", (80, 0, 8), b""))
        broken("x_train.npy", x, tiny_data.npy("|u1", (2**40, 8, 8), b"x" * 100))
        broken("x_train.npy", x, tiny_data.npy("<f4", (80, 8, 8), struct.pack("<f", 1e999) * 5120))
        broken("", y, tiny_data.npy("|u1", (79,), labels[:79]))
        broken("", y, tiny_data.npy("<i4", (80,), struct.pack("<80i", -1, *([0, 1, 2] * 27)[:79])))
        broken("", y, tiny_data.npy("|u1", (80,), bytes(2 * (i % 2) for i in range(80))))
        tiny_data.write_npy(self.folder / "d")
        (self.folder / "d/y_test.npy").unlink()
        self.every_command(spec, "y_test.npy")

    def test_test_label_out_of_range(self):
        spec = tiny_data.write_npy(self.folder / "d")
        (self.folder / "d/y_test.npy").write_bytes(tiny_data.npy("|u1", (30,), bytes([9] * 30)))
        self.every_command(spec, "9")

    def test_idx(self):
        images = self.folder / "d/train-images-idx3-ubyte"
        labels = self.folder / "d/train-labels-idx1-ubyte"
        spec = tiny_data.write_idx(self.folder / "d")
        whole, marks = images.read_bytes(), labels.read_bytes()
        for path, content in (
                (images, b""), (images, whole[:9]), (images, whole[:-1]), (images, whole + b"x"),
                (images, b"\0\0\x09\x03" + whole[4:]), (images, tiny_data.idx((0, 8, 8), b"")),
                (labels, marks[:-1]), (labels, b"\0\0\x08\x02" + marks[4:]),
                (labels, tiny_data.idx((79,), marks[8:87])),
                (labels, tiny_data.idx((80,), bytes(2 * (i % 2) for i in range(80))))):
            images.write_bytes(whole)
            labels.write_bytes(marks)
            path.write_bytes(content)
            self.every_command(spec, "")
        labels.unlink()
        self.every_command(spec, "train-labels-idx1-ubyte")

    def test_cifar(self):
        spec = tiny_data.write_cifar(self.folder / "d")
        batch = self.folder / "d/data_batch_3.bin"
        whole = batch.read_bytes()
        for content in (b"", whole[:-1], whole + b"x", b"\x0a" + whole[1:]):
            batch.write_bytes(content)
            self.every_command(spec, "data_batch_3.bin")
        batch.unlink()
        self.every_command(spec, "data_batch_3.bin")
        tiny_data.write_cifar(self.folder / "d")
        for path in (self.folder / "d").glob("data_batch_*"):
            content = bytearray(path.read_bytes())
            content[0::3073] = bytes(min(label, 8) for label in content[0::3073])
            path.write_bytes(content)
        self.every_command(spec, "9")


class BadArchitecture(Case):
    def refused_everywhere(self, content, says=""):
        (self.folder / "a.json").write_bytes(content)
        self.refused("memory", "a.json", says=says)
        self.refused("memory", "a.json", "--json", says=says)
        self.refused("train", "a.json", "--data", self.spec, says=says)

    def changed(self, change):
        network = tiny_data.architecture()
        change(network)
        return json.dumps(network).encode()

    def setUp(self):
        super().setUp()
        self.spec = tiny_data.write_npy(self.folder / "npy")

    def test_not_json(self):
        whole = json.dumps(tiny_data.architecture()).encode()
        for content in (b"", b"{", whole[:-1], whole + b"}", b"[]", b"\xff\xfe", b"\0" * 100,
                        b"[" * 100000, b"{}" + b" " * (300 * 1024), b'{"format":1,"format":1}'):
            self.refused_everywhere(content, "a.json")
        self.refused("memory", "nowhere.json", says="nowhere.json")
        self.refused("memory", "npy", says="npy")

    def test_values(self):
        def width(value):
            return lambda n: n["blocks"][0].update(width=value)

        def cell(**values):
            return lambda n: n["blocks"][1]["cells"][0].update(**values)

        for change, says in (
                (width(0), "width"), (width(100000), "width"), (width(-1), "width"),
                (width("6"), "width"), (width(1e30), "width"),
                (cell(op=["conv_3x3", "conv_9x9"]), "conv_9x9"),
                (cell(**{"in": [0, 1]}), "input"), (cell(**{"in": [0, 2]}), "input"),
                (cell(**{"in": [0, -1]}), "input"), (cell(**{"in": [0]}), "in"),
                (cell(combine="mul"), "mul"), (cell(out=1), "out"),
                (lambda n: n["blocks"][1]["cells"][1].update({"in": [2, 0]}), "input"),
                (lambda n: n["blocks"].clear(), "blocks"),
                (lambda n: n.update(format=2), "format"), (lambda n: n.pop("head"), "head"),
                (lambda n: n.update(extra=1), "extra"), (lambda n: n.update(classes=0), "classes"),
                (lambda n: n.update(input=[8, 8]), "input"),
                (lambda n: n.update(blocks=n["blocks"] * 20), "blocks")):
            self.refused_everywhere(self.changed(change), says)

    def test_other_data(self):
        for shape, classes in (((9, 8, 1), 3), ((8, 8, 3), 3), ((8, 8, 1), 4)):
            tiny_data.write_architecture(self.folder / "a.json", shape=shape, classes=classes)
            self.refused("train", "a.json", "--data", self.spec, says="a.json")


class BadOutput(Case):
    def setUp(self):
        super().setUp()
        self.spec = tiny_data.write_npy(self.folder / "npy")
        tiny_data.write_architecture(self.folder / "a.json")
        (self.folder / "file").write_text("text")
        (self.folder / "folder").mkdir()

    def test_train(self):
        for option in ("--out", "--checkpoint"):
            for path in ("file/x", "nowhere/x", "folder", "new/", "", "/dev/null"):
                self.refused("train", "a.json", "--data", self.spec, option, path, says=path)
        self.refused("train", "a.json", "--data", self.spec, "--checkpoint", "file", says="file")

    def test_study(self):
        search = ("search", "--data", self.spec, "--memory", "16K", "--rounds", "1")
        self.refused(*search, "--study", "file/study", says="file")
        self.refused(*search, "--study", "file", says="file")
        self.refused("status", "folder", says="folder")
        self.refused("status", "nowhere", says="nowhere")
        (self.folder / "folder/study.db").write_bytes(b"no database" * 1000)
        self.refused("status", "folder", says="folder")

    def test_standard_output(self):
        for command in (("memory", "a.json"), ("data", self.spec, "--json"), ("--help",),
                        ("help", "train"), ("--version",)):
            for name, sink in (("full", open("/dev/full", "w")), ("closed pipe", closed_pipe())):
                with sink:
                    result = subprocess.run([MEMNET, *command], cwd=self.folder, stdout=sink,
                                            stderr=subprocess.PIPE, universal_newlines=True)
                self.assertEqual(result.returncode, 1, (command, name))
                self.assertRegex(result.stderr, r"\Amemnet: standard output: [^\n]*\n\Z")
            result = subprocess.run(["/bin/sh", "-c", 'exec "$@" >&-', "sh", MEMNET, *command],
                                    cwd=self.folder, stderr=subprocess.PIPE,
                                    universal_newlines=True)
            self.assertEqual(result.returncode, 1, (command, "closed"))


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def run_in_terminal(columns, folder, *args):
    """(output, exit code) of memnet on a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([MEMNET, *args], cwd=folder, stdin=slave, stdout=slave,
                               stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    output = b""
    try:
        while True:
            piece = os.read(master, 4096)
            if not piece:
                break
            output += piece
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(master)
    return output.decode(), process.wait()


class Train(Case):
    """One model is trained for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.spec = tiny_data.write_npy(cls.home / "npy", train=300, test=90)
        cls.model = str(cls.home / "model.safetensors")
        cls.architecture = tiny_data.write_architecture(cls.home / "a.json")
        cls.train = [MEMNET, "train", cls.architecture, "--data", cls.spec, "--epochs", "3",
                     "--batch", "16", "--threads", "1"]
        cls.said = subprocess.run(cls.train + ["--out", cls.model], check=True,
                                  stdout=subprocess.PIPE, universal_newlines=True).stdout

    def test_training(self):
        self.assertEqual(len(re.findall(r"(?m)^epoch \d/3  loss \d\.\d{4}  validation "
                                        r"\d+\.\d\d %  [\d,]+ images/s$", self.said)), 3, self.said)
        with open(self.model, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        meta = header["__metadata__"]
        self.assertEqual(json.loads(meta["architecture"]), tiny_data.architecture())
        self.assertEqual(json.loads(meta["split"]), {"seed": "1", "fraction": 0.1})
        data = json.loads(self.ok("data", self.spec, "--json"))
        self.assertEqual(meta["data_hash"], data["hash"])
        self.assertEqual(json.loads(meta["class_names"]), data["class_names"])

    def test_verbose_training(self):
        said = self.ok(*self.train[1:], "--epochs", "1", "--verbose", "--out", "m")
        share = re.search(r"images/s  \d+\.\d\d s, (\d+) % of it waiting for images$", said, re.M)
        self.assertTrue(share is not None and int(share.group(1)) <= 100, said)
        self.assertRegex(said, r"(?m)^kernels: (portable|avx2|avx512|bf16)$")
        table = {name: int(number.replace(",", "")) for name, number in
                 re.findall(r"(?m)^  (\S.*?)  +([\d,]+) bytes", said)}
        parts = sum(table[part] for part in
                    ("feature maps, gradients", "weights, scratch", "images made ahead"))
        before, expected, peak = (table[name] for name in (
            "before the training", "expected with it", "at most, in fact"))
        self.assertEqual(expected, before + parts)
        self.assertLess(peak, expected * 1.05 + (4 << 20))  # pages of the program itself
        self.assertGreater(peak, before)

    def told(self, *options):
        """How a training of one epoch with these options describes itself in its checkpoint."""
        checkpoint = self.folder / "told"
        self.ok(*self.train[1:], "--epochs", "1", *options, "--checkpoint", str(checkpoint),
                "--out", str(self.folder / "m"))
        with open(checkpoint, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        checkpoint.unlink()
        return dict(word.split("=") for word in header["__metadata__"]["training"].split())

    def test_options(self):
        """Every option of the recipe reaches the trainer, and is what --help says without it."""
        recipe = {
            "rate": ("--learning-rate", "0.2", "0.25"),
            "schedule": ("--schedule", "1", "cosine"),
            "momentum": ("--momentum", "0.9", "0.75"),
            "decay": ("--weight-decay", "0.0005", "0.125"),
            "smoothing": ("--label-smoothing", "0.1", "0.25"),
            "crop": ("--crop", "2", "3"),
            "flip": ("--flip", "1", "alternating"),
            "cutout": ("--cutout", "0", "4"),
            "mixup": ("--mixup", "0", "0.5"),
            "average": ("--average", "0", "0.75"),
            "beta_rate": ("--beta-rate", "1", "64"),
            "dirac": ("--dirac", "0", None),
            "whiten": ("--whiten", "0", None),
        }
        numbers = {"cosine": "0", "alternating": "2", None: "1"}
        plain = self.told()
        changed = self.told(*[word for flag, _, value in recipe.values()
                              for word in (flag, value) if word is not None])
        for key, (flag, default, value) in recipe.items():
            self.assertAlmostEqual(float(plain[key]), float(default), 6, flag)
            self.assertEqual(changed[key], numbers.get(value, value), flag)
        self.assertEqual(self.told("--schedule", "triangular", "--flip", "random"), plain)
        self.assertEqual(self.told("--flip", "none")["flip"], "0")
        self.refused(*self.train[1:], "--flip", "always", code=2,
                     says="expected none or random or alternating")
        self.refused(*self.train[1:], "--average", "1", code=2, says="--average")

    def test_interrupted_training(self):
        """Continued from a checkpoint it ends in the same bytes."""
        checkpoint = str(self.folder / "c")
        process = subprocess.Popen(
            self.train + ["--checkpoint", checkpoint, "--out", str(self.folder / "m")],
            stdout=subprocess.PIPE, universal_newlines=True)
        with process.stdout as lines:
            for line in lines:
                if line.startswith("epoch 1/"):
                    break
            process.kill()
        process.wait()
        self.assertTrue(os.path.exists(checkpoint))
        self.assertFalse((self.folder / "m").exists())
        said = self.ok(*self.train[1:], "--checkpoint", checkpoint, "--out", "m")
        self.assertIn("continuing after epoch", said)
        self.assertEqual((self.folder / "m").read_bytes(), pathlib.Path(self.model).read_bytes())
        self.refused(*self.train[1:], "--seed", "2", "--checkpoint", checkpoint, says=checkpoint)

    def test_eval(self):
        result = json.loads(self.ok("eval", self.model, "--data", self.spec, "--json"))
        self.assertEqual((result["count"], result["precision"]), (90, "float32"))
        self.assertAlmostEqual(result["accuracy"], 100 * result["correct"] / 90, places=6)
        self.assertGreater(result["accuracy"], 60)
        self.ok("eval", self.model, "--data", self.spec, "--predictions", "p")
        lines = (self.folder / "p").read_text().splitlines()
        self.assertEqual(sum(int(line) == i % 3 for i, line in enumerate(lines)),
                         result["correct"])
        result = json.loads(self.ok("eval", self.model, "--data", self.spec, "--split", "val",
                                    "--json"))
        self.assertEqual(result["count"], 30)
        accuracy = re.search(r"saved .*validation accuracy (\S+) %", self.said).group(1)
        self.assertEqual("%.2f" % result["accuracy"], accuracy)

    def test_quantize(self):
        """An int8 model, and the same numbers as when the float32 model is quantised on the fly."""
        accuracy = json.loads(self.ok("eval", self.model, "--data", self.spec, "--json"))
        on_the_fly = json.loads(self.ok("eval", self.model, "--data", self.spec, "--json",
                                        "--precision", "int8", "--predictions", "p"))
        self.assertEqual((on_the_fly["count"], on_the_fly["precision"]), (90, "int8"))
        self.assertAlmostEqual(on_the_fly["accuracy"], accuracy["accuracy"], delta=5)
        made = json.loads(self.ok("quantize", self.model, "--data", self.spec, "--out",
                                  "q.safetensors", "--json"))
        self.assertEqual(made["calibration_images"], 270)  # all that trained, for 512
        memory = json.loads(self.ok("memory", "q.safetensors", "--json"))
        self.assertEqual(memory["precision"], "int8")
        for key in ("weights_bytes", "arena_bytes", "total_bytes"):
            self.assertEqual(made[key], memory[key])
        self.assertEqual(json.loads(self.ok("memory", self.model, "--precision", "int8", "--json")),
                         {**memory, "file": self.model})
        of_file = json.loads(self.ok("eval", "q.safetensors", "--data", self.spec, "--json",
                                     "--predictions", "q"))
        self.assertEqual(of_file, on_the_fly)
        self.assertEqual((self.folder / "p").read_bytes(), (self.folder / "q").read_bytes())
        said = self.ok("quantize", self.model, "--data", self.spec, "--percentile", "99.9",
                       "--calibration-images", "20", "--out", "r.safetensors")
        self.assertIn("wrote r.safetensors, int8, calibrated on 20 images\n", said)
        said = self.ok("quantize", self.model, "--data", self.spec, "--qat-epochs", "2",
                       "--threads", "1", "--out", "t.safetensors")
        self.assertRegex(said, r"(?s)epoch 1/2  loss .*epoch 2/2  loss .*wrote t.safetensors, int8")
        tuned = json.loads(self.ok("eval", "t.safetensors", "--data", self.spec, "--json"))
        self.assertAlmostEqual(tuned["accuracy"], accuracy["accuracy"], delta=5)
        self.assertNotEqual((self.folder / "t.safetensors").read_bytes(),
                            (self.folder / "q.safetensors").read_bytes())
        self.ok("quantize", self.model, "--data", self.spec, "--qat-epochs", "2", "--threads", "1",
                "--out", "u.safetensors")
        self.assertEqual((self.folder / "t.safetensors").read_bytes(),
                         (self.folder / "u.safetensors").read_bytes())
        self.refused("quantize", self.model, "--data", self.spec, "--out", self.model,
                     says="the model itself, expected another file")
        self.refused("quantize", "q.safetensors", "--data", self.spec, "--out", "x",
                     says="int8 model already")
        self.refused("eval", "q.safetensors", "--data", self.spec, "--precision", "float32",
                     says="no float32")
        self.refused("export", "q.safetensors", "--format", "c", "--precision", "float32", "--out",
                     "x", says="no float32")
        self.refused("export", self.model, "--format", "c", "--precision", "int8", "--out", "x",
                     says="memnet quantize")
        self.ok("export", "q.safetensors", "--format", "c", "--no-boards", "--out", "net8")
        self.assertEqual(self.compiled("net8"), (self.folder / "p").read_text())
        self.refused("quantize", self.architecture, "--data", self.spec, "--out", "x",
                     says="without weights")
        self.refused("quantize", self.model, "--data", "npy:nowhere", "--out", "x", says="nowhere")
        shape = tiny_data.write_npy(self.folder / "shape", shape=(8, 9, 1))
        failed = self.run_memnet("quantize", self.model, "--data", shape, "--out", "x")
        self.assertEqual((failed.returncode, failed.stdout), (1, ""))
        self.assertIn("the network reads (8,8,1)", failed.stderr)
        self.assertFalse((self.folder / "x").exists())

    def test_dump_layers(self):
        self.ok("eval", self.model, "--data", self.spec, "--precision", "int8", "--dump-layers",
                "layers", "--predictions", "p")
        layers = json.loads((self.folder / "layers" / "layers.json").read_text())
        self.assertEqual(layers[0]["op"], "input")
        for layer in layers:
            content = (self.folder / "layers" / layer["file"]).read_bytes()
            self.assertEqual(content[:10], b"\x93NUMPY\x01\x00\x76\x00")
            header = ast.literal_eval(content[10:128].decode())
            self.assertEqual(header["descr"], "|i1")
            self.assertEqual(len(content) - 128, math.prod(header["shape"]))
        logits = struct.unpack("3b", content[128:])
        first = int((self.folder / "p").read_text().splitlines()[0])
        self.assertEqual(logits.index(max(logits)), first)
        self.refused("eval", self.model, "--data", self.spec, "--precision", "int8",
                     "--dump-layers", "layers", says="layers")
        self.refused("eval", self.model, "--data", self.spec, "--dump-layers", "other",
                     says="--precision int8")

    def test_eval_of_other_data(self):
        other = tiny_data.write_npy(self.folder / "other", seed=2)
        result = self.run_memnet("eval", self.model, "--data", other, "--json")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"\Amemnet: warning: [^\n]*\n\Z")
        self.assertEqual(json.loads(result.stdout)["count"], 30)
        self.refused("eval", self.model, "--data", other, "--split", "val", says="validation")
        shape = tiny_data.write_npy(self.folder / "shape", shape=(8, 9, 1))
        result = self.run_memnet("eval", self.model, "--data", shape)
        self.assertEqual((result.returncode, result.stdout), (1, ""))

    def test_bad_models(self):
        whole = pathlib.Path(self.model).read_bytes()
        cut = bytearray(whole)
        cut[100] = 0
        for name, content in (("m", b""), ("m.safetensors", b""), ("m", whole[:-1]),
                              ("m", whole[:50]), ("m", bytes(cut)), ("m", b"\xff" * 1000),
                              ("m.json", whole)):
            (self.folder / name).write_bytes(content)
            self.refused("memory", name, says=name)
            self.refused("eval", name, "--data", self.spec, says=name)
            self.refused("export", name, "--format", "c", "--out", "x", says=name)
            self.refused("export", name, "--format", "onnx", "--out", "x", says=name)
        self.refused("eval", "nowhere", "--data", self.spec, says="nowhere")
        self.refused("eval", self.architecture, "--data", self.spec, says="without weights")
        self.refused("export", self.architecture, "--format", "c", "--out", "x",
                     says="without weights")

    def test_memory(self):
        of_model = json.loads(self.ok("memory", self.model, "--json"))
        of_both = json.loads(self.ok("memory", self.architecture, self.model, "--json",
                                     "--precision", "float32"))
        self.assertEqual(of_both[1], of_model)
        self.assertEqual({**of_both[0], "file": self.model}, of_model)
        self.assertEqual(of_model["total_bytes"],
                         of_model["weights_bytes"] + of_model["arena_bytes"])
        self.assertLessEqual(of_model["lower_bound_bytes"], of_model["arena_bytes"])
        for key in ("order_proven", "offsets_proven"):
            self.assertIsInstance(of_model[key], bool)
        for key in ("macs", "paper_intermediate_bytes", "paper_total_bytes"):
            self.assertGreater(of_model[key], 0)
        live = [step["live_bytes"] for step in of_model["steps"]]
        if of_model["offsets_proven"]:
            self.assertEqual(max(live), of_model["arena_bytes"])
        of_int8 = json.loads(self.ok("memory", self.model, "--json", "--precision", "int8"))
        self.assertEqual(of_int8["precision"], "int8")
        self.assertLess(of_int8["weights_bytes"], of_model["weights_bytes"])
        of_architecture = json.loads(self.ok("memory", self.architecture, "--json"))
        self.assertEqual({**of_architecture, "file": self.model}, of_int8)
        self.assertLess(of_int8["arena_bytes"], of_model["arena_bytes"] / 2)
        text = self.ok("memory", self.model, "--timeline")
        self.assertRegex(text, r"arena +%s bytes" % format(of_model["arena_bytes"], ","))
        rows = re.findall(r"(?m)^ *(\d+) \S+ +\S+ +([\d,]+)  (#*)$", text)
        self.assertEqual([int(row[1].replace(",", "")) for row in rows], live)
        self.assertEqual(max(rows, key=lambda row: len(row[2]))[1], format(max(live), ","))

    def test_memory_svg(self):
        """In each row of the picture the rectangles cover what is alive, and nothing twice."""
        self.ok("memory", self.model, "--svg", "arena.svg")
        plan = json.loads(self.ok("memory", self.model, "--json"))
        root = xml.etree.ElementTree.parse(self.folder / "arena.svg").getroot()
        places = [{key: float(r.get(key)) for key in ("x", "y", "width", "height")}
                  for r in root.iter("{http://www.w3.org/2000/svg}rect")
                  if r.find("{http://www.w3.org/2000/svg}title") is not None]
        frame = next(r for r in root.iter("{http://www.w3.org/2000/svg}rect")
                     if r.get("fill") == "none")
        left, top = float(frame.get("x")), float(frame.get("y"))
        width, height = float(frame.get("width")), float(frame.get("height"))
        row = height / len(plan["steps"])
        for step in plan["steps"]:
            y = top + (step["step"] + 0.5) * row
            spans = sorted((r["x"], r["x"] + r["width"]) for r in places
                           if r["y"] < y < r["y"] + r["height"])
            covered = sum(end - start for start, end in spans) / width * plan["arena_bytes"]
            self.assertAlmostEqual(covered, step["live_bytes"], delta=0.001 * plan["arena_bytes"])
            for (_, end), (start, _) in zip(spans, spans[1:]):
                self.assertLessEqual(end, start + 0.02)
            self.assertGreaterEqual(spans[0][0], left)
            self.assertLessEqual(spans[-1][1], left + width + 0.02)
        self.refused("memory", self.model, self.architecture, "--svg", "two.svg",
                     says="--svg: 2 networks, expected one")
        self.refused("memory", self.model, "--svg", "no/such.svg", says="no/such")

    def test_memory_compare(self):
        both = json.loads(self.ok("memory", self.architecture, self.model, "--json"))
        text = self.ok("memory", "--compare", self.architecture, self.model)
        rows = [line.split() for line in text.splitlines()[1:]]
        self.assertEqual([row[-1] for row in rows], [self.architecture, self.model])
        for row, plan in zip(rows, both):
            self.assertEqual([int(n.replace(",", "")) for n in row[:4]],
                             [plan[key] for key in ("weights_bytes", "arena_bytes", "total_bytes",
                                                    "lower_bound_bytes")])
            proven = plan["order_proven"] and plan["offsets_proven"]
            self.assertEqual(row[4], "yes" if proven else "no")

    def test_export(self):
        said = self.ok("export", self.model, "--format", "c", "--out", "deep/net")
        for tool, board in (("arm-none-eabi-gcc", "Cortex-M4F"),
                            ("riscv64-unknown-elf-gcc", "RV32IMAC")):
            self.assertRegex(said, r"%s +code [1-9][\d,]+ bytes, stack [1-9]" % board
                             if shutil.which(tool) else "not installed: .*" + tool)
        net = self.folder / "deep/net"
        header = (net / "model.h").read_text()
        memory = json.loads(self.ok("memory", self.model, "--json"))
        arena = re.search(r"(?m)^#define MODEL_ARENA_BYTES (\d+)", header).group(1)
        self.assertEqual(int(arena), memory["arena_bytes"])
        self.ok("eval", self.model, "--data", self.spec, "--predictions", "p")
        self.assertEqual(self.compiled("deep/net"), (self.folder / "p").read_text())

    def compiled(self, net):
        """Classes of the test images, by an export's example program."""
        sources = sorted((self.folder / net).glob("*.c"))
        subprocess.run(["cc", "-O2", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o",
                        str(self.folder / "classify"), *map(str, sources)], check=True)
        npy = (self.home / "npy/x_test.npy").read_bytes()
        (self.folder / "images").write_bytes(npy[-90 * 64:])
        return subprocess.run([str(self.folder / "classify"), "-q", str(self.folder / "images")],
                              check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout

    def test_export_folder(self):
        (self.folder / "full").mkdir()
        (self.folder / "full/mine").write_text("text")
        (self.folder / "empty").mkdir()
        export = ("export", self.model, "--format", "c", "--no-boards", "--out")
        self.refused(*export, "full", says="full")
        self.refused(*export, "full/mine", says="mine")
        self.refused(*export, "full/mine/x", says="mine")
        self.refused(*export, "", says="")
        self.ok(*export, "empty")
        self.refused(*export, "empty", says="empty")
        self.ok(*export, "empty", "--force")
        self.ok(*export, "full", "--force")
        self.assertEqual((self.folder / "full/mine").read_text(), "text")
        self.ok(*export, "full", "--force")
        for name in ("main.c", "LICENSE", "CMakeLists.txt", "model.h"):
            (self.folder / "project").mkdir(exist_ok=True)
            (self.folder / "project" / name).write_text("a program of its own")
            self.refused(*export, "project", "--force", says="project/%s: exists, and" % name)
            (self.folder / "project" / name).unlink()
        self.ok(*export, "project", "--force")

    def test_export_two_networks(self):
        """Two exports in one program, each with a name; neither takes the other's header."""
        self.ok("quantize", self.model, "--data", self.spec, "--out", "q.safetensors")
        export = ("export", "q.safetensors", "--format", "c", "--no-boards", "--out")
        said = self.ok("export", self.model, "--format", "c", "--out", "first", "--name", "wake")
        self.assertIn("wrote first: wake.h and wake.c", said)
        if shutil.which("arm-none-eabi-gcc"):
            self.assertRegex(said, r"Cortex-M4F +code [1-9][\d,]+ bytes, stack [1-9]")
        self.ok(*export, "second", "--name", "second")
        self.assertFalse(list(self.folder.glob("first/model*")))
        self.assertEqual(sorted(p.name for p in self.folder.glob("second/second*")),
                         ["second.c", "second.h", "second_labels.c", "second_labels.h"])
        for text in self.folder.glob("first/*"):
            if not text.name.startswith("mn_"):
                self.assertNotRegex(text.read_text(), r"\b(memnet_|MODEL_|model\.[ch])", text)
        (self.folder / "app.c").write_text("""
#include "wake.h"
#include "wake_labels.h"
#include "second.h"
#include "second_labels.h"
int main(void)
{
    wake_input()[0] = 0.0f;
    second_input()[0] = 0;
    wake_invoke();
    second_invoke();
    return WAKE_CLASSES != SECOND_CLASSES || wake_class_name(0)[0] != second_class_name(0)[0];
}
""")
        subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Ifirst",
                        "-Isecond", "app.c", "first/wake.c", "first/wake_labels.c",
                        "second/second.c", "second/second_labels.c",
                        *map(str, sorted(self.folder.glob("*/mn_*.c"))), "-o", "app"],
                       cwd=str(self.folder), check=True)
        subprocess.run([str(self.folder / "app")], check=True)
        self.refused(*export, "second", "--force", says="exists, and model.h is no earlier export")
        self.ok(*export, "second", "--name", "second", "--force")
        self.refused(*export, "third", "--name", "Wake", says="name 'Wake'")
        self.refused("export", self.model, "--format", "onnx", "--out", "x", "--name", "wake",
                     code=2, says="--name is for --format c")
        # Names that those of the example and of debug builds might meet.
        for name in ("read", "load", "show", "give", "memnet_wake", "model"):
            self.ok(*export, "n_" + name, "--name", name)
            self.assertIn(f"\n  {name}.h ", (self.folder / f"n_{name}/README.txt").read_text())
            folder = sorted(map(str, (self.folder / f"n_{name}").glob("*.c")))
            subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", *folder, "-o",
                            str(self.folder / "app")], check=True)
            subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-DMEMNET_DUMP_LAYERS",
                            "-DMEMNET_ARENA_EXTERNAL", "-c", f"n_{name}/{name}.c", "-o", "x.o"],
                           cwd=str(self.folder), check=True)
        self.refused(*export, "third", "--name", "stdint", says="stdint.h is a header of the C")
        # model.c and the header of another export
        self.ok(*export, "own")
        self.ok("export", self.model, "--format", "c", "--no-boards", "--out", "other")
        shutil.copy(self.folder / "other/model.h", self.folder / "own/model.h")
        done = subprocess.run(["cc", "-std=c99", "-c", "own/model.c", "-o", "x.o"], check=False,
                              cwd=str(self.folder), stderr=subprocess.PIPE, universal_newlines=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("are of different exports", done.stderr)

    def test_export_onnx(self):
        said = self.ok("export", self.model, "--format", "onnx", "--out", "m.onnx")
        self.assertIn("wrote m.onnx: ONNX, opset 13, float32\n", said)
        self.assertIn("float32 (1,1,8,8)", said)
        whole = (self.folder / "m.onnx").read_bytes()
        self.ok("export", self.model, "--format", "onnx", "--out", "again.onnx")
        self.assertEqual((self.folder / "again.onnx").read_bytes(), whole)
        of_model, of_file = json.loads(self.ok("memory", self.model, "m.onnx", "--json"))
        for key in ("weights_bytes", "arena_bytes", "total_bytes", "lower_bound_bytes", "macs"):
            self.assertEqual(of_file[key], of_model[key], key)

    def test_export_int8(self):
        self.ok("quantize", self.model, "--data", self.spec, "--out", "q.safetensors")
        said = self.ok("export", "q.safetensors", "--format", "onnx", "--out", "q.onnx")
        self.assertIn("wrote q.onnx: ONNX, opset 13, int8 (QDQ)\n", said)
        self.ok("export", "q.safetensors", "--format", "onnx", "--precision", "int8", "--out",
                "again.onnx")
        self.assertEqual((self.folder / "again.onnx").read_bytes(),
                         (self.folder / "q.onnx").read_bytes())
        of_file = json.loads(self.ok("memory", "q.onnx", "--json"))
        of_model = json.loads(self.ok("memory", self.model, "--json"))
        self.assertEqual(of_file["macs"], of_model["macs"])
        self.assertLess(of_file["total_bytes"], of_model["total_bytes"] / 2)
        self.refused("export", "q.safetensors", "--format", "onnx", "--precision", "float32",
                     "--out", "x", says="an int8 model, which has no float32 weights")
        self.refused("export", self.model, "--format", "onnx", "--precision", "int8", "--out", "x",
                     says="a float32 model, which has no int8 tables")
        self.ok("export", "q.safetensors", "--format", "c", "--out", "q8", "--no-boards")
        self.assertIn("#define MODEL_INT8", (self.folder / "q8" / "model.h").read_text())

    def test_export_onnx_file(self):
        (self.folder / "folder").mkdir()
        (self.folder / "file").write_text("text")
        export = ("export", self.model, "--format", "onnx", "--out")
        self.refused(*export, "file", says="file: exists")
        for path in ("file/x", "nowhere/x", "folder", "new/", "", "/dev/null"):
            self.refused(*export, path, says=path)
            self.refused(*export, path, "--force", says=path)
        self.ok(*export, "file", "--force")
        self.assertNotEqual((self.folder / "file").read_text(errors="replace"), "text")
        self.refused("export", self.architecture, "--format", "onnx", "--out", "x",
                     says="without weights")

    def test_predictions_that_cannot_be_written(self):
        for path in ("nowhere/p", "/dev/null", ""):
            self.refused("eval", self.model, "--data", self.spec, "--predictions", path)


class Search(Case):
    def test_search(self):
        """A small search from start to end, and everything that reads it afterwards."""
        spec = tiny_data.write_npy(self.folder / "npy", train=120)
        search = ("search", "--data", spec, "--memory", "12K", "--rounds", "1", "--top-k", "2",
                  "--jobs", "2", "--study", "my study")
        said = self.ok(*search)
        self.assertRegex(said, r"\Around 0: \d+ of \d+ new candidates fit, 2 trained, best ")
        self.assertRegex(said, r"\nfinals: 1 of 1, 12 epochs, [\d.]+ % validation, after ")
        self.assertNotIn("\r", said)
        self.assertNotIn("\x1b", said)
        self.assertRegex(self.ok(*search), r"\Acontinuing a study of \d+ s\ndone: ")
        status = json.loads(self.ok("status", "my study", "--json"))
        again = json.loads(self.ok(*search, "--json"))
        self.assertGreaterEqual(again.pop("active_ms"), status.pop("active_ms"))
        self.assertEqual(again, status)
        self.assertEqual(set(status["counts"]),
                         {"generated", "over_bound", "duplicate", "ranked", "trained", "failed",
                          "waiting"})
        counts = status["counts"]
        self.assertEqual(counts["generated"], sum(n for name, n in counts.items()
                                                  if name != "generated"))
        self.assertEqual(status["rounds"], 1)
        (bound,) = status["bounds"]
        self.assertEqual(bound["bytes"], 12288)
        best = bound["best"]
        self.assertLessEqual(best["total_bytes"], 12288)
        model = "my study/best/model.safetensors"
        memory = json.loads(self.ok("memory", model, "--json"))
        self.assertEqual(memory["total_bytes"], best["total_bytes"])
        result = json.loads(self.ok("eval", model, "--data", spec, "--json"))
        self.assertAlmostEqual(result["accuracy"], best["test_accuracy"], places=5)
        self.assertIn(best["id"], self.ok("status", "my study"))
        self.refused(*search, "--seed", "2", says="seed")
        for command in re.findall(r"(?m)^  (.* (?:eval|export) .*)$", said):
            subprocess.run(command, shell=True, cwd=self.folder, check=True,
                           stdout=subprocess.DEVNULL)
        self.assertTrue((self.folder / "my study/export/model.c").exists())

    def test_search_several(self):
        """A network for each bound, told and kept in its own folder."""
        spec = tiny_data.write_npy(self.folder / "npy", train=120)
        said = self.ok("search", "--data", spec, "--memory", "9K,12K", "--rounds", "1", "--top-k",
                       "1", "--strategy", "random")
        self.assertRegex(said, r"study/best/12288/model\.safetensors\n.*\n.*\n.*\n.*of 12")
        self.assertRegex(said, r"study/best/9216/model\.safetensors\n.*\n.*\n.*\n.*of 9")
        for size in (9216, 12288):
            plan = json.loads(self.ok("memory", f"study/best/{size}/model.safetensors", "--json"))
            self.assertLessEqual(plan["total_bytes"], size)
        for sizes in ("9K,", ",9K", "9K,,12K", "9K,9216", "1K,2K,3K,4K,5K,6K,7K,8K,9K", "9K,x"):
            self.refused("search", "--data", spec, "--memory", sizes, code=2, says="--memory")

    def test_terminal(self):
        """A status line that fits 40 columns, drawn over and over, and lines that stay."""
        spec = tiny_data.write_npy(self.folder / "npy", train=120)
        output, code = run_in_terminal(40, self.folder, "search", "--data", spec, "--memory", "12K",
                                       "--rounds", "1", "--top-k", "2", "--jobs", "1")
        self.assertEqual(code, 0, output)
        drawn = [text for text in output.split("\r\x1b[K")[1:] if text and "\n" not in text]
        self.assertTrue(any(re.match(r"r0 [12]/2 ", text) for text in drawn), drawn)
        self.assertLess(max(map(len, drawn)), 40)
        self.assertRegex(output, r"\r\x1b\[Kround 0: \d+ of \d+ new candidates fit, 2 trained, ")
        self.assertRegex(output, r"\r\x1b\[Kdone: ")
        self.assertNotIn("\x1b", output[output.index("done: "):])

    def test_bound_that_nothing_meets(self):
        spec = tiny_data.write_npy(self.folder / "npy")
        result = self.run_memnet("search", "--data", spec, "--memory", "100", "--rounds", "1")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Amemnet: [^\n]*100 bytes[^\n]*\n\Z")


if __name__ == "__main__":
    MEMNET = os.path.abspath(sys.argv.pop(1))
    unittest.main()
