#!/usr/bin/env python3
"""Compares searches that differ in one option, for equal times.

Usage: bench/search_compare.py strategy --data SPEC --out DIR [--values augment-trim,random,evolution]
       bench/search_compare.py lambda --data SPEC --out DIR [--values 1,0.8,0.5,0]
           [--memory SIZE] [--time T] [--precision P] [--seeds 1,2,3] [--at-once N] [--memnet FILE]

Runs `memnet search` for every value of the option and every seed, each on an equal share of the
processors, --at-once (default: the processors) at a time, in the order of seeds, so that the values
share whatever else the machine does. Studies lie in DIR and continue when the command is repeated.
Prints trainings, the best validation accuracy of a rung 0 training after each quarter of the rounds'
time (not for a search that was interrupted: its pause is in no column), the winner's validation and
test accuracy, weights and arena; then, beside the first value's, the smallest arenas of networks that
were equally accurate.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
VALUES = {"strategy": "augment-trim,random,evolution", "lambda": "1,0.8,0.5,0"}
QUARTERS = 4
FINALS_RUNG = 100


def search(options, value, seed):
    """Runs or continues one search; returns its study's folder."""
    study = options.out / ("%s-%s-%d" % (options.option, value, seed))
    jobs = max(1, (os.cpu_count() or 1) // options.at_once)
    command = [options.memnet, "search", "--data", options.data, "--memory", options.memory,
               "--precision", options.precision, "--time", options.time,
               "--" + options.option, value, "--seed", seed, "--jobs", jobs, "--study", study]
    with open(str(study) + ".log", "a") as log:
        done = subprocess.run([str(c) for c in command], stdout=log, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("%s failed: see %s.log" % (study, study))
    return study


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def read(study):
    """What the tables say of a study. `reached` are (accuracy, arena bytes) of all trainings at the
    last rung of the rounds."""
    with sqlite3.connect("file:%s?mode=ro" % (study / "study.db"), uri=True) as db:
        created, active_ms = db.execute("SELECT created_at, active_ms FROM studies").fetchone()
        start = seconds(created)
        runs = db.execute(
            "SELECT r.created_at, r.val_accuracy, r.rung, g.arena_bytes FROM runs AS r JOIN genotypes "
            "AS g ON g.id = r.genotype_id WHERE NOT r.failed AND r.rung < ?", (FINALS_RUNG,)).fetchall()
        finished = seconds(db.execute("SELECT max(created_at) FROM runs").fetchone()[0])
        validation, test, weights, arena = db.execute(
            "SELECT b.val_accuracy, b.test_accuracy, g.weights_bytes, g.arena_bytes FROM best AS b "
            "JOIN genotypes AS g ON g.id = b.genotype_id").fetchone()
    end = max(seconds(at) for at, _, _, _ in runs)
    paused = finished - start > active_ms / 1000 + 5
    best = []
    for quarter in range(1, QUARTERS + 1):
        until = start + (end - start) * quarter / QUARTERS
        seen = [accuracy for at, accuracy, rung, _ in runs if rung == 0 and seconds(at) <= until]
        best.append(max(seen) if seen and not paused else float("nan"))
    last = max(rung for _, _, rung, _ in runs)
    return {"trainings": len(runs), "best": best, "validation": validation, "test": test,
            "weights": weights, "arena": arena,
            "reached": [(accuracy, size) for _, accuracy, rung, size in runs if rung == last]}


def mean(rows, key):
    return statistics.mean(row[key] for row in rows)


def print_accuracy(options, rows):
    print("| %s | seed | trainings | %s | validation | test | weights | arena |" % (
        options.option, " | ".join("best at %d %%" % (100 * q // QUARTERS)
                                   for q in range(1, QUARTERS + 1))))
    print("|---" * (7 + QUARTERS) + "|")
    for value in options.values:
        own = [rows[value, seed] for seed in options.seeds]
        for seed, row in zip(options.seeds, own):
            print("| %s | %d | %d | %s | %.2f | %.2f | %d | %d |" % (
                value, seed, row["trainings"], " | ".join("%.1f" % b for b in row["best"]),
                row["validation"], row["test"], row["weights"], row["arena"]))
        tests = [row["test"] for row in own]
        print("| **%s** | mean | %.0f | %s | %.2f | **%.2f** (%.2f to %.2f) | %.0f | %.0f |" % (
            value, mean(own, "trainings"),
            " | ".join("%.1f" % statistics.mean(row["best"][q] for row in own)
                       for q in range(QUARTERS)),
            mean(own, "validation"), statistics.mean(tests), min(tests), max(tests),
            mean(own, "weights"), mean(own, "arena")))


def smallest(rows, accuracy):
    """Mean of the smallest arenas with which each search has reached the accuracy."""
    return statistics.mean(min(size for reached, size in row["reached"] if reached >= accuracy)
                           for row in rows)


def print_arenas(options, rows):
    """Equally accurate: what all searches with a value, and all with the first one, have reached."""
    first = [rows[options.values[0], seed] for seed in options.seeds]
    print("\n| %s | all reached | smallest arena | with %s |" % (options.option, options.values[0]))
    print("|---|---|---|---|")
    for value in options.values[1:]:
        own = [rows[value, seed] for seed in options.seeds]
        accuracy = min(max(reached for reached, _ in row["reached"]) for row in own + first)
        print("| %s | %.2f %% | %.0f | %.0f |" % (value, accuracy, smallest(own, accuracy),
                                                smallest(first, accuracy)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("option", choices=sorted(VALUES))
    parser.add_argument("--values")
    parser.add_argument("--data", required=True)
    parser.add_argument("--memory", default="256K")
    parser.add_argument("--time", default="20m")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memnet", default=str(ROOT / "build" / "memnet"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead")
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.values = (options.values or VALUES[options.option]).split(",")
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = [(value, seed) for seed in options.seeds for value in options.values]
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        studies = list(pool.map(lambda pair: search(options, *pair), pairs))
    rows = {pair: read(study) for pair, study in zip(pairs, studies)}
    if options.json:
        print(json.dumps([dict(row, value=v, seed=n) for (v, n), row in rows.items()]))
    else:
        print_accuracy(options, rows)
        print_arenas(options, rows)


if __name__ == "__main__":
    main()
