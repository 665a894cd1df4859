#!/usr/bin/env python3
"""The training benchmark beside stand-ins for its peers: who is run how, and what is printed.

Usage: test_train_step.py TRAIN_STEP. No figure of ours is looked at, only that there is one.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TRAIN_STEP = ""
SMALL = ["--net", "B", "--width", "4", "--batch", "2", "--steps", "1"]

# Says how it was called in a file of its own, then what FAKE_TORCH has.
TORCH = """import os, sys
names = ["OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"]
with open(os.path.join(os.environ["FAKE_LOG"], f"torch{os.getpid()}"), "w") as log:
    print("torch", *sys.argv[1:], *[os.environ.get(n, "-") for n in names], file=log)
print("a warning", file=sys.stderr)
rate = 500 if sys.argv[5] == "bf16" else 400
print(os.environ.get("FAKE_TORCH", f"torch params={os.environ['FAKE_PARAMETERS']} cap=  step 1.0 "
                     f"ms (min 0.9)  {rate} img/s  loss 2.3->2.2"))
sys.exit(int(os.environ.get("FAKE_STATUS", "0")))
"""
PROTOTYPE = r"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/prototype%d", getenv("FAKE_LOG"), (int)getpid());
    FILE *log = fopen(path, "w");
    fprintf(log, "prototype");
    for (int i = 1; i < count; i++)
        fprintf(log, " %s", words[i]);
    fprintf(log, " %s %s\n", getenv("OMP_NUM_THREADS"), getenv("CUSTOM"));
    fclose(log);
    printf("oneDNN params=%s build 1 ms  step 1.0 ms  %d img/s  9 GF/s\n",
           getenv("FAKE_PARAMETERS"), strcmp(words[4], "bf16") == 0 ? 300 : 200);
    return 0;
}
"""
TUNED = "20000000000 4000000000 268435456"


class TrainStep(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name in ("peers", "modules", "log", "scratch"):
            (self.folder / name).mkdir()
        # The stand-in needs nothing of oneDNN, but is linked with it: an empty library will do.
        subprocess.run(["ar", "rc", str(self.folder / "libdnnl.a")], check=True)

    def run_step(self, *words, **variables):
        # What the user's own environment says of the allocator must not reach "as shipped".
        environment = dict(os.environ, TMPDIR=str(self.folder / "scratch"),
                           PYTHONPATH=str(self.folder / "modules"), MALLOC_TOP_PAD_="4096",
                           FAKE_LOG=str(self.folder / "log"), LIBRARY_PATH=str(self.folder),
                           **variables)
        return subprocess.run([TRAIN_STEP, *words], env=environment, text=True,
                              capture_output=True, check=False)

    def compare(self, *words, **variables):
        return self.run_step("--peers", str(self.folder / "peers"), "--threads", "2", *SMALL,
                             *words, **variables)

    def write_peers(self, torch=TORCH, prototype=PROTOTYPE, module=""):
        (self.folder / "peers" / "torch_step.py").write_text(torch)
        (self.folder / "peers" / "onednn_step.c").write_text(prototype)
        (self.folder / "modules" / "torch.py").write_text(module)

    def parameters(self):
        done = self.run_step(*SMALL, "--rounds", "1", "--threads", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"memnet: \d+ images/s")
        return re.search(r"(\d+) parameters", done.stdout).group(1)

    def calls(self):
        return sorted(path.read_text().strip() for path in (self.folder / "log").iterdir())

    def test_options(self):
        done = self.run_step("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--peers DIR", done.stdout)
        for words in (["--bogus"], ["--net", "Z"], ["--net", "A,"], ["--net", ""], ["--width"],
                      ["--width", "16,x"], ["--width", "0"], ["--compute", "f16"], ["a", "b"],
                      ["--peers", "x", "a.json"]):
            done = self.run_step(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertRegex(done.stderr, r"\Atrain_step: [^\n]+\n\Z", words)

    def test_both_peers(self):
        self.write_peers()
        done = self.compare("--rounds", "2", FAKE_PARAMETERS=self.parameters())
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        # Two rounds of everything; pairs are two processes each.
        start = "B 4 2"
        self.assertEqual(self.calls(), sorted(2 * (
            [f"torch {start} {kind} {threads} - 1 - {malloc}" for kind, malloc in
             (("cl f32", TUNED), ("cl bf16", TUNED), ("cf f32", "- - -")) for threads in "211"] +
            [f"prototype {start} {kind} 1 {threads} 1" for kind in ("f32", "bf16")
             for threads in "211"])))
        for line in (r"memnet +float32, 2 processes of 1 thread +\d+  \d+\.\.\d+",
                     r"memnet +bf16, 1 process of 2 threads +(\d+|bf16: not here)",
                     r"memnet float32: 2 processes are \d+\.\d\d times one",
                     r"prototype +bf16, 2 processes of 1 thread +600  600\.\.600",
                     r"TABLE network B, width 4, batch 2",
                     r"PyTorch tuned +1000  bf16, 2 processes of 1 thread",
                     r"PyTorch as shipped +800  float32, 2 processes of 1 thread",
                     r"prototype float32 +400  float32, 2 processes of 1 thread",
                     r"memnet / prototype, float32 +\d+\.\d\d"):
            self.assertRegex(done.stdout, line)
        self.assertNotIn("***", done.stdout)
        self.assertEqual(list((self.folder / "scratch").iterdir()), [])

    def test_other_parameters(self):
        self.write_peers()
        done = self.compare("--rounds", "1", FAKE_PARAMETERS="77")
        self.assertEqual(done.returncode, 1)
        self.assertIn("*** THE PARAMETERS DIFFER", done.stdout)
        self.assertIn("PyTorch 77, prototype 77", done.stdout)
        self.assertIn("the parameters differ", done.stderr)

    def test_missing_peers(self):
        done = self.compare("--rounds", "1")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout, r"PyTorch: not here: no file .*torch_step\.py")
        self.assertRegex(done.stdout, r"prototype: not here: no file .*onednn_step\.c")
        self.assertRegex(done.stdout, r"memnet +\d+  (float32|bf16)")
        self.assertRegex(done.stdout, r"memnet / PyTorch tuned +--")

    def test_failing_peers(self):
        self.write_peers(prototype="no C", module="raise ImportError")
        done = self.compare("--rounds", "1")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout, r"PyTorch: not here: .*cannot import torch")
        self.assertRegex(done.stdout, r"prototype: not here: building .*onednn_step\.c: gcc failed")
        self.write_peers()
        same = {"FAKE_PARAMETERS": self.parameters()}
        for said in ("no figures", "params=3  x img/s", "params=3  -1 img/s", "5 img/s params=x"):
            done = self.compare("--rounds", "1", FAKE_TORCH=said, **same)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn(f"failed in round 1: it printed '{said}'", done.stdout)
            self.assertRegex(done.stdout, r"PyTorch as shipped +--")
        done = self.compare("--rounds", "1", FAKE_STATUS="3", **same)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"PyTorch tuned .*failed in round 1: it failed")
        self.assertRegex(done.stdout, r"prototype float32 +400")


if __name__ == "__main__":
    TRAIN_STEP = os.path.abspath(sys.argv.pop(1))
    unittest.main()
