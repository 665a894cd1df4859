#!/usr/bin/env python3
"""Exported cell networks in an arena of exactly the planned bytes, fenced on both sides.

Usage: test_fenced_arena.py MEMNET
Random cells bring every kind of aliasing: slices that open early and late, copies, chains that write
in place inside of a concat, depthwise convolutions in place. The exported code runs under
AddressSanitizer on a heap block of MODEL_ARENA_BYTES, which is filled with NaN (in int8 with a byte
that differs from image to image) before every image, and has to predict what `memnet eval` does.
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
#include <string.h>
#include "model.h"

#if defined(MODEL_INT8)
static void spoil(void *arena, int image)
{
    memset(arena, 91 + 37 * image, MODEL_ARENA_BYTES);
}
static int feed(int pixel) { return memnet_from_pixel(pixel); }
#else
static void spoil(void *arena, int image)
{
    int i;
    for (i = 0; i < (int)(MODEL_ARENA_BYTES / sizeof(float)); i++)
        ((float *)arena)[i] = NAN;
    (void)image;
}
static float feed(int pixel) { return ((float)pixel - MODEL_INPUT_MEAN) * MODEL_INPUT_SCALE; }
#endif

int main(void)
{
    static unsigned char pixels[%d];
    int image;
    void *arena = malloc(MODEL_ARENA_BYTES);
    if (arena == NULL)
        return 1;
    memnet_set_arena(arena);
    for (image = 0; fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels; image++) {
        int best = 0, i;
        spoil(arena, image);
        for (i = 0; i < (int)sizeof pixels; i++)
            memnet_input()[i] = feed(pixels[i]);
        memnet_invoke();
        for (i = 0; i < MODEL_CLASSES; i++) {
            if (!isfinite((float)memnet_output()[i]))
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
            memnet("quantize", "m.safetensors", "--data", spec, "--out", "q.safetensors")
            for model in ("m.safetensors", "q.safetensors"):
                plan = json.loads(memnet("memory", model, "--json"))
                memnet("export", model, "--format", "c", "--no-boards", "--force", "--out", "c")
                code = (folder / "c/model.h").read_text()
                self.assertIn("MODEL_ARENA_BYTES %d" % plan["arena_bytes"],
                              re.sub(r"[ (]+(?=\d)", " ", code))
                self.assertEqual(plan["arena_bytes"], plan["peak_bytes"], (seed, model))
                subprocess.run("cc -std=c99 -g -O1 -fsanitize=address,undefined "
                               "-fno-sanitize-recover=all -DMEMNET_ARENA_EXTERNAL -Ic probe.c "
                               "$(ls c/*.c | grep -v main.c) -lm -o probe",
                               shell=True, check=True, cwd=folder)
                got = subprocess.run([folder / "probe"], input=pixels, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
                self.assertEqual((got.returncode, got.stderr), (0, b""), (seed, model))
                memnet("eval", model, "--data", spec, "--predictions", "p")
                self.assertEqual(got.stdout.decode(), (folder / "p").read_text(), (seed, model))
                in_place += sum(step["in_place"] for step in plan["steps"])
                convolutions += sum(step["op"] == "conv" and step["in_place"]
                                    for step in plan["steps"])
        self.assertGreater(in_place, NETWORKS)
        self.assertGreater(convolutions, 0)


if __name__ == "__main__":
    MEMNET = os.path.abspath(sys.argv.pop(1))
    unittest.main()
