#!/usr/bin/python3
"""What the errors at the end of finals follow from, over studies that exist.

Usage: bench/finals_fit.py STUDY...   (float32 studies of one data set; Debian: python3-numpy)

Fits log(validation errors of a finalist) by least squares to logarithms: of the epochs of the finals,
of the network's errors at the last rung of the rounds, of the images that it was trained on there, of
its multiply-adds and of its weight bytes. Prints for several choices of these the powers, and the
root mean square of what is left over for a study whose finalists the fit has not seen.
"""
import json
import pathlib
import sqlite3
import sys

import numpy

FINALS_RUNG = 100
MODELS = (("rung errors",),
          ("epochs", "rung errors", "rung images"),
          ("epochs", "rung errors", "rung images", "multiply-adds"),
          ("epochs", "rung errors", "rung images", "multiply-adds", "weights"))


def finalists(study):
    """A dictionary for each finalist of the study's first finals."""
    with sqlite3.connect("file:%s?mode=ro" % (study / "study.db"), uri=True) as db:
        plan = db.execute("SELECT detail_json FROM events WHERE kind = 'finals' AND number = 0").fetchone()
        if plan is None:
            return []
        rung, size = db.execute("SELECT rung, options_json FROM rungs WHERE rung < ? ORDER BY rung DESC",
                                (FINALS_RUNG,)).fetchone()
        rows = db.execute(
            "SELECT f.val_accuracy, r.val_accuracy, g.macs, g.weights_bytes FROM runs AS f JOIN runs AS r "
            "ON r.genotype_id = f.genotype_id AND r.rung = ? AND r.seed = 0 JOIN genotypes AS g "
            "ON g.id = f.genotype_id WHERE f.rung = ? AND f.seed = 0 AND NOT f.failed AND NOT r.failed",
            (rung, FINALS_RUNG)).fetchall()
    size = json.loads(size)
    return [{"study": study, "errors": 100 - final, "epochs": json.loads(plan[0])["epochs"],
             "rung errors": 100 - before, "rung images": size["epochs"] * size["images"],
             "multiply-adds": macs, "weights": weights} for final, before, macs, weights in rows]


def powers(rows, model):
    """The constant, then the power of each."""
    columns = numpy.column_stack([numpy.ones(len(rows))] +
                                 [numpy.log([row[name] for row in rows]) for name in model])
    target = numpy.log([row["errors"] for row in rows])
    return numpy.linalg.lstsq(columns, target, rcond=None)[0]


def left_over(rows, model):
    """Root mean square over all studies, each left out of the fit in turn."""
    rests = []
    for study in {row["study"] for row in rows}:
        fit = powers([row for row in rows if row["study"] != study], model)
        for row in rows:
            if row["study"] == study:
                known = fit[0] + sum(p * numpy.log(row[name]) for p, name in zip(fit[1:], model))
                rests.append(numpy.log(row["errors"]) - known)
    return numpy.sqrt(numpy.mean(numpy.square(rests)))


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.split("\n\n")[1])
    rows = [row for study in sys.argv[1:] for row in finalists(pathlib.Path(study))]
    print("%d finalists of %d studies\n" % (len(rows), len({row["study"] for row in rows})))
    print("| from | left over | powers |\n|---|---|---|")
    for model in MODELS:
        print("| %s | %.3f | %s |" % (", ".join(model), left_over(rows, model),
                                      ", ".join("%.2f" % p for p in powers(rows, model)[1:])))


if __name__ == "__main__":
    main()
