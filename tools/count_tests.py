#!/usr/bin/env python3
"""Sums the logs of `meson test`: names what failed, and the tests that skipped cases of theirs, then
prints "N passed, N failed[, N skipped]".

Usage: count_tests.py TREE...   Exits 1 when a test failed, a tree has no log, or none ran.
"""
import json
import pathlib
import re
import sys


def results(tree):
    log = pathlib.Path(tree) / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines():
        test = json.loads(line)
        yield test["name"], test["result"], cases_skipped(test.get("stdout", "") +
                                                          test.get("stderr", ""))


def cases_skipped(said):
    """Cases that cmocka or unittest skipped inside a test that passed."""
    of_cmocka = re.search(r"\[  SKIPPED \] (\d+) test", said)
    of_unittest = re.search(r"^OK \(skipped=(\d+)\)$", said, re.MULTILINE)
    return sum(int(found.group(1)) for found in (of_cmocka, of_unittest) if found)


def main():
    passed, failed, skipped = 0, 0, 0
    for tree in sys.argv[1:]:
        try:
            tests = list(results(tree))
        except OSError as reason:
            print(f"{tree}: no test ran: {reason}")
            tests = [("no log", "ERROR", 0)]
        for name, result, cases in tests:
            if cases:
                print(f"{tree}: {name}: SKIPPED {cases} OF ITS CASES")
            if result in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif result == "SKIP":
                skipped += 1
            else:
                failed += 1
                print(f"{tree}: {name}: {result}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
