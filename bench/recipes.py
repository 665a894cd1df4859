#!/usr/bin/env python3
"""What each option of training gives: the table of docs/training.md.

Usage: bench/recipes.py --data SPEC --out DIR [--arch FILE] [--epochs N] [--seeds 1,2,3]
           [--only NAME,...] [--at-once N] [--memnet FILE]

Trains one architecture (default: examples/resnet8.json) with the defaults of `memnet train`, and with
one option changed at a time, on every seed; --at-once (default: the processors) trainings of one
thread at a time, in the order of seeds, so that the recipes share whatever else the machine does. The
accuracy is that on the validation images, whose choice is the same for all. The test images are not
read. Trainings lie in DIR and continue when the command is repeated.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEFAULTS = "defaults"
# In order of the table: what is changed, beside the defaults.
RECIPES = {
    DEFAULTS: "",
    "float32": "--compute float32",
    "cosine": "--schedule cosine",
    "rate-0.1": "--learning-rate 0.1",
    "no-momentum": "--momentum 0",
    "decay-1e-4": "--weight-decay 1e-4",
    "no-smoothing": "--label-smoothing 0",
    "batch-32": "--batch 32",
    "batch-128": "--batch 128",
    "average": "--average 0.999",
    "whiten": "--whiten",
    "dirac": "--dirac",
    "beta-rate": "--beta-rate 8",
    "no-flip": "--flip none",
    "alternating": "--flip alternating",
    "no-crop": "--crop 0",
    "crop-4": "--crop 4",
    "cutout": "--cutout 8",
    "mixup": "--mixup 0.2",
    "together": "--flip alternating --average 0.999 --whiten --dirac --beta-rate 8",
}


def run(log, *command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=log,
                          universal_newlines=True)
    log.write(done.stdout)
    if done.returncode != 0:
        sys.exit("failed, see %s: %s" % (log.name, " ".join(str(c) for c in command)))
    return done.stdout


def write(path, value):
    """A file that is whole or not there."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)


def train(options, name, seed):
    """Validation accuracy in percent of one training."""
    stem = options.out / ("%s-%d" % (name, seed))
    model, checkpoint, result = (stem.with_suffix(stem.suffix + end) for end in (
        ".safetensors", ".checkpoint", ".json"))
    told = {"arch": str(options.arch), "data": options.data, "epochs": options.epochs,
            "recipe": RECIPES[name]}
    if not result.exists():
        with open(str(stem) + ".log", "a") as log:
            run(log, options.memnet, "train", options.arch, "--data", options.data, "--epochs",
                options.epochs, "--seed", seed, "--threads", 1, "--checkpoint", checkpoint,
                "--out", model, *RECIPES[name].split())
            said = run(log, options.memnet, "eval", model, "--data", options.data, "--split", "val",
                       "--json")
        write(result, {"options": told, "accuracy": json.loads(said)["accuracy"]})
        checkpoint.unlink()
    found = json.loads(result.read_text())
    if found.get("options") != told:
        sys.exit("%s: of other options, %s: give another --out" % (result, found.get("options")))
    return found["accuracy"]


def print_table(options, accuracy):
    """The last column: mean difference from the defaults of the same seed, and its standard error."""
    print("| options | %s | mean | to the defaults |" % " | ".join(
        "seed %d" % seed for seed in options.seeds))
    print("|---" * (3 + len(options.seeds)) + "|")
    for name in options.only:
        own = [accuracy[name, seed] for seed in options.seeds]
        gains = [accuracy[name, seed] - accuracy[DEFAULTS, seed] for seed in options.seeds]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        gain = "" if name == DEFAULTS else "%+.2f ± %.2f" % (statistics.mean(gains), error)
        print("| %s | %s | %.2f | %s |" % (
            "with `%s`" % RECIPES[name] if RECIPES[name] else name,
            " | ".join("%.2f" % one for one in own), statistics.mean(own), gain))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--arch", default=str(ROOT / "examples" / "resnet8.json"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--only", default=",".join(RECIPES), help=",".join(RECIPES))
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memnet", default=str(ROOT / "build" / "memnet"))
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.only = [DEFAULTS] + [n for n in options.only.split(",") if n != DEFAULTS]
    unknown = [name for name in options.only if name not in RECIPES]
    if unknown:
        parser.error("--only: no recipe '%s'; there are %s" % (unknown[0], ", ".join(RECIPES)))
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = [(name, seed) for seed in options.seeds for name in options.only]
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        accuracy = dict(zip(pairs, pool.map(lambda pair: train(options, *pair), pairs)))
    print_table(options, accuracy)


if __name__ == "__main__":
    main()
