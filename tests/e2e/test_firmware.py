#!/usr/bin/env python3
"""docs/firmware.md, block by block: commands are run and C is compiled as they stand there.

Usage: test_firmware.py MEMNET
Only the data set is another: a tiny one in the place of fashion-mnist.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_data  # noqa: E402

MEMNET = ""
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/firmware.md"
SHAPE = (8, 8, 1)

# Prints the class of every image, by the page's classify().
MAIN = """
#include <stdio.h>
#include "model.h"
int classify(const unsigned char *pixels);
int main(void)
{
    static unsigned char pixels[MODEL_INPUT_HEIGHT * MODEL_INPUT_WIDTH * MODEL_INPUT_CHANNELS];
    while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels)
        printf("%d\\n", classify(pixels));
    return 0;
}
"""


class Page(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        if shutil.which("cc") is None:
            self.skipTest("no C compiler")
        self.spec = tiny_data.write_npy(self.folder / "npy", train=60, test=30, shape=SHAPE)
        tiny_data.write_architecture(self.folder / "a.json")
        (self.folder / "images").write_bytes((self.folder / "npy/x_test.npy").read_bytes()[-30 * 64:])
        self.path = os.path.dirname(MEMNET) + ":" + os.environ["PATH"]
        self.shell("memnet train a.json --data %s --epochs 1 --batch 16 --threads 1 "
                   "--out model.safetensors" % self.spec)

    def shell(self, command, **more):
        done = subprocess.run(command.replace("fashion-mnist", self.spec), shell=True,
                              cwd=self.folder, env={**os.environ, "PATH": self.path},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        self.assertEqual(done.returncode, 0, (command, done.stdout))
        return done.stdout.decode()

    def test_page(self):
        page = PAGE.read_text()
        ran = 0
        for before, language, block in re.findall(r"([^\n]*)\n```(.*)\n((?:.*\n)*?)```", page):
            name = re.search(r"`(\w+\.c)`:$", before)
            if language == "c":
                self.assertTrue(name, before)
                (self.folder / name.group(1)).write_text(block)
            elif language == "sh" or shutil.which("arm-none-eabi-gcc"):
                self.shell("set -e\n" + block)
                ran += 1
        self.assertGreaterEqual(ran, 4)
        (self.folder / "main.c").write_text(MAIN)
        self.shell("cc -std=c99 -Wall -Wextra -Wpedantic -Werror -Inet main.c app.c net/model.c "
                   "net/mn_*.c -o app")
        self.shell("memnet eval int8.safetensors --data fashion-mnist --predictions p")
        classes = self.shell("./app", input=(self.folder / "images").read_bytes())
        self.assertEqual(classes, (self.folder / "p").read_text())
        self.assertEqual(self.shell("./classify -q images"), classes)
        self.assertTrue(list((self.folder / "layers").glob("*.npy")))


if __name__ == "__main__":
    MEMNET = os.path.abspath(sys.argv.pop(1))
    unittest.main()
