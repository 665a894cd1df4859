#!/usr/bin/env python3
"""Exported cell networks in an arena of exactly the planned bytes, fenced on both sides.

Usage: test_fenced_arena.py MEMNET
Random cells bring every kind of aliasing: slices that open early and late, copies, chains that write
in place inside of a concat, depthwise convolutions in place. The exported code runs under
AddressSanitizer on a heap block of MODEL_ARENA_BYTES, which is filled with NaN before every image,
and has to predict what `memnet eval` does.
"""
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_data  # noqa: E402

MEMNET = ""
NETWORKS = 4
IMAGES = 30
SHAPE = (8, 8, 3)
OPS = ["avg_pool_3x3", "max_pool_3x3", "dil_conv_3x3", "conv_1x7_7x1", "sep_conv_5x5",
       "sep_conv_3x3", "conv_3x3", "identity"]

PROBE = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

int main(void)
{
    static unsigned char pixels[%d];
    float *arena = malloc(MODEL_ARENA_BYTES);
    if (arena == NULL)
        return 1;
    memnet_set_arena(arena);
    while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels) {
        int best = 0, i;
        for (i = 0; i < (int)(MODEL_ARENA_BYTES / sizeof(float)); i++)
            arena[i] = NAN;
        for (i = 0; i < (int)sizeof pixels; i++)
            memnet_input()[i] = ((float)pixels[i] - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE;
        memnet_invoke();
        for (i = 0; i < MODEL_CLASSES; i++) {
            if (!isfinite(memnet_output()[i]))
                return 2;
            if (memnet_output()[i] > memnet_output()[best])
                best = i;
        }
        printf("%%d\\n", best);
    }
    free(arena);
    return 0;
}
""" % (SHAPE[0] * SHAPE[1] * SHAPE[2])


def random_architecture(seed):
    draw = random.Random(seed)
    cells = []
    for k in range(draw.randint(2, 5)):
        cells.append({"in": [draw.randint(0, k), draw.randint(0, k)],
                      "op": [draw.choice(OPS), draw.choice(OPS)],
                      "combine": draw.choice(["add", "concat"]), "out": True})
    blocks = [{"stride": s, "width": 4 * w, "cells": cells} for s, w in ((1, 1), (2, 2), (1, 2))]
    return {"format": 1, "input": list(SHAPE), "classes": 3, "stem": {"width": 4, "stride": 1},
            "blocks": blocks, "head": draw.choice(["gap", "maxpool2"])}


class Fenced(unittest.TestCase):
    def test_cell_networks(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-test-"))
        self.addCleanup(shutil.rmtree, folder)
        if shutil.which("cc") is None:
            self.skipTest("no C compiler")

        def memnet(*args):
            return subprocess.run([MEMNET, *map(str, args)], cwd=folder, check=True,
                                  stdout=subprocess.PIPE, universal_newlines=True).stdout

        spec = tiny_data.write_npy(folder / "npy", train=60, test=IMAGES, shape=SHAPE)
        pixels, _ = tiny_data.toy_images(IMAGES, 3, SHAPE, "1 test")
        (folder / "probe.c").write_text(PROBE)
        in_place = convolutions = 0
        for seed in range(NETWORKS):
            (folder / "a.json").write_text(json.dumps(random_architecture(seed)))
            memnet("train", "a.json", "--data", spec, "--epochs", "1", "--batch", "16",
                   "--threads", "1", "--out", "m.safetensors")
            plan = json.loads(memnet("memory", "m.safetensors", "--json"))
            memnet("export", "m.safetensors", "--format", "c", "--no-boards", "--out",
                   "c%d" % seed)
            code = (folder / ("c%d" % seed) / "model.h").read_text()
            self.assertIn("MODEL_ARENA_BYTES %d" % plan["arena_bytes"],
                          re.sub(r"[ (]+(?=\d)", " ", code))
            self.assertEqual(plan["arena_bytes"], plan["peak_bytes"], seed)
            subprocess.run("cc -std=c99 -g -O1 -fsanitize=address,undefined "
                           "-fno-sanitize-recover=all -DMEMNET_ARENA_EXTERNAL -Ic%d probe.c "
                           "$(ls c%d/*.c | grep -v main.c) -lm -o probe" % (seed, seed),
                           shell=True, check=True, cwd=folder)
            got = subprocess.run([folder / "probe"], input=pixels, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
            self.assertEqual((got.returncode, got.stderr), (0, b""), seed)
            memnet("eval", "m.safetensors", "--data", spec, "--predictions", "p")
            self.assertEqual(got.stdout.decode(), (folder / "p").read_text(), seed)
            in_place += sum(step["in_place"] for step in plan["steps"])
            convolutions += sum(step["op"] == "conv" and step["in_place"] for step in plan["steps"])
        self.assertGreater(in_place, NETWORKS)
        self.assertGreater(convolutions, 0)


if __name__ == "__main__":
    MEMNET = os.path.abspath(sys.argv.pop(1))
    unittest.main()
