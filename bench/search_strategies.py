#!/usr/bin/env python3
"""Compares the search with random search and aging evolution: same time, bound, space and rungs.

Usage: bench/search_strategies.py --data SPEC [--memory SIZE] [--time T] [--seeds 1,2,3]
           [--strategies LIST] [--precision P] [--at-once N] [--memnet FILE] --out DIR

Runs `memnet search` for every strategy and seed, each on an equal share of the processors,
--at-once (default: the processors) at a time, in the order of seeds, so that the strategies share
whatever else the machine does. Studies lie in DIR and continue when the command is repeated.
Prints a table for docs/search.md: trainings, the best validation accuracy of a rung 0 training
after each quarter of the search's time, the winner's validation and test accuracy, and means.
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
QUARTERS = 4
FINALS_RUNG = 100


def search(options, strategy, seed):
    """Runs or continues one search; returns its study's folder."""
    study = options.out / ("%s-%d" % (strategy, seed))
    jobs = max(1, (os.cpu_count() or 1) // options.at_once)
    command = [options.memnet, "search", "--data", options.data, "--memory", options.memory,
               "--precision", options.precision, "--time", options.time, "--strategy", strategy,
               "--seed", seed, "--jobs", jobs, "--study", study]
    with open(str(study) + ".log", "a") as log:
        done = subprocess.run([str(c) for c in command], stdout=log, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("%s failed: see %s.log" % (study, study))
    return study


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def read(study):
    """What the table says of a study: trainings, best of each quarter, validation, test."""
    with sqlite3.connect("file:%s?mode=ro" % (study / "study.db"), uri=True) as db:
        start = seconds(db.execute("SELECT created_at FROM studies").fetchone()[0])
        runs = db.execute("SELECT created_at, val_accuracy, rung FROM runs WHERE NOT failed AND "
                          "rung < ?", (FINALS_RUNG,)).fetchall()
        validation, test = db.execute("SELECT val_accuracy, test_accuracy FROM best").fetchone()
    end = max(seconds(at) for at, _, _ in runs)
    best = []
    for quarter in range(1, QUARTERS + 1):
        until = start + (end - start) * quarter / QUARTERS
        seen = [accuracy for at, accuracy, rung in runs if rung == 0 and seconds(at) <= until]
        best.append(max(seen) if seen else float("nan"))
    return {"trainings": len(runs), "best": best, "validation": validation, "test": test}


def print_table(options, rows):
    print("| strategy | seed | trainings | %s | validation | test |" % " | ".join(
        "best at %d %%" % (100 * q // QUARTERS) for q in range(1, QUARTERS + 1)))
    print("|---" * (5 + QUARTERS) + "|")
    for strategy in options.strategies:
        own = [(seed, rows[strategy, seed]) for seed in options.seeds]
        for seed, row in own:
            print("| %s | %d | %d | %s | %.2f | %.2f |" % (
                strategy, seed, row["trainings"],
                " | ".join("%.1f" % b for b in row["best"]), row["validation"], row["test"]))
        tests = [row["test"] for _, row in own]
        print("| **%s** | mean | %.0f | %s | %.2f | **%.2f** (%.2f to %.2f) |" % (
            strategy, statistics.mean(row["trainings"] for _, row in own),
            " | ".join("%.1f" % statistics.mean(row["best"][q] for _, row in own)
                       for q in range(QUARTERS)),
            statistics.mean(row["validation"] for _, row in own),
            statistics.mean(tests), min(tests), max(tests)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--memory", default="256K")
    parser.add_argument("--time", default="20m")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--strategies", default="augment-trim,random,evolution")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memnet", default=str(ROOT / "build" / "memnet"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON instead")
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.strategies = options.strategies.split(",")
    options.out.mkdir(parents=True, exist_ok=True)
    pairs = [(strategy, seed) for seed in options.seeds for strategy in options.strategies]
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        studies = list(pool.map(lambda pair: search(options, *pair), pairs))
    rows = {pair: read(study) for pair, study in zip(pairs, studies)}
    if options.json:
        print(json.dumps([dict(row, strategy=s, seed=n) for (s, n), row in rows.items()]))
    else:
        print_table(options, rows)


if __name__ == "__main__":
    main()
