#!/usr/bin/env python3
"""The search from end to end: same seed, same study; killed, resumed, out of room, out of time.

Usage: test_search.py SEARCH_DRIVER [unittest arguments]
"""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from search_data import (database_hash, everything, files, processes_marked, query, tables,
                         write_data)

DRIVER = ""
BASE = {"total": 12000, "rounds": 2, "top_k": 4, "jobs": 2, "rung_epochs": 2,
        "finalist_epochs": 4, "rungs": 1, "neighbours": 40,
        "precision": "float32",
        "seed": 7}
# That finals are ever planned for (src/search/finals_time.h).
MOST_EPOCHS = 300
# MN_ERR_WORKER, as the driver's exit code.
WORKER_FAILED = 9
# The first rung of finals (include/memnet/study.h).
FINALS = 100
# Long enough to be killed in every phase.
LONG = dict(BASE, total=20000, rounds=3, top_k=5, rungs=2, finalist_epochs=25, finalist_seeds=2)


class SearchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="memnet-search-"))
        cls.data = write_data(cls.shared / "data")
        cls.references = {}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="memnet-search-"))
        self.study = self.folder / "study"
        self.mark = f"MEMNET_E2E={self.folder}"

    def tearDown(self):
        self.assertEqual(processes_marked(self.mark), [])
        shutil.rmtree(self.folder)

    # ---- running ---------------------------------------------------------------------------------

    def start(self, options, study=None, data=None, limit=None):
        arguments = [DRIVER, "search", str(study or self.study), data or self.data]
        arguments += [f"{key}={value}" for key, value in options.items()]

        def limit_files():
            if limit is not None:
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

        name, value = self.mark.split("=", 1)
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, preexec_fn=limit_files,
                                env={**os.environ, name: value})

    def run_search(self, options, **more):
        """Ends well; what it printed."""
        process = self.start(options, **more)
        out, err = process.communicate(timeout=240)
        self.assertEqual((process.returncode, err), (0, ""))
        return out

    def fail_search(self, options, status, text, **more):
        """Ends with this status and one line that has the text."""
        process = self.start(options, **more)
        _, err = process.communicate(timeout=240)
        self.assertEqual((process.returncode, err.count("\n")), (status, 1), err)
        self.assertIn(text, err)
        return err

    def reference(self, options):
        """The study of these options when nothing disturbs it."""
        key = json.dumps(options, sort_keys=True)
        if key not in self.references:
            study = self.shared / f"reference{len(self.references)}"
            self.run_search(options, study=study)
            self.references[key] = everything(study)
        return self.references[key]

    def kill(self, process):
        """Kills the search alone; its workers must follow."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stderr.close()
        end = time.monotonic() + 5
        while processes_marked(self.mark) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(processes_marked(self.mark), [], "workers outlive the search")

    def runs(self):
        return query(self.study, "SELECT * FROM runs") if (self.study / "study.db").exists() and \
            query(self.study, "SELECT 1 FROM sqlite_schema WHERE name = 'runs'") else []

    def check_rows_kept(self, before):
        after = {(r["genotype_id"], r["seed"], r["rung"]): r for r in self.runs()}
        for row in before:
            self.assertEqual(after[(row["genotype_id"], row["seed"], row["rung"])], row)

    def check_reference(self, options):
        self.maxDiff = 2000
        expected, actual = self.reference(options), everything(self.study)
        for table, rows in expected["tables"].items():
            self.assertEqual(actual["tables"][table], rows, table)
        self.assertEqual(actual["files"], expected["files"])
        left = [p.name for p in self.study.iterdir() if p.name.startswith("best.")]
        self.assertEqual(left, [os.readlink(self.study / "best")])

    # ---- same seed, same study -------------------------------------------------------------------

    def test_jobs_do_not_matter(self):
        self.run_search(dict(BASE, jobs=1))
        self.check_reference(BASE)
        self.assertNotEqual(self.reference(dict(BASE, seed=8))["tables"]["runs"],
                            tables(self.study)["runs"])

    def test_jobs_do_not_matter_paper(self):
        options = dict(BASE, preset="paper", total=7000, rounds=1, rung_epochs=1, jobs=3)
        self.run_search(options)
        self.check_reference(dict(options, jobs=1))
        rounds = query(self.study, "SELECT * FROM rounds")
        self.assertEqual(rounds[0]["ranked"], 0, "round 0 trains all that fits")

    def test_counts_and_bounds(self):
        """Counts add up; nothing over a bound is trained; the test set is read once."""
        for options in (BASE, dict(BASE, total=0, ram=3000, flash=9000, macs=60000)):
            study = self.folder / f"study-{options['total']}"
            self.run_search(options, study=study)
            for r in query(study, "SELECT * FROM rounds"):
                self.assertEqual(r["generated"], r["over_bound"] + r["duplicate"] + r["ranked"] +
                                 r["trained"] + r["failed"])
                self.assertGreater(r["over_bound"], 0)
                self.assertEqual(r["trained"], BASE["top_k"])
            needs = query(study, "SELECT * FROM genotypes WHERE id IN (SELECT genotype_id FROM runs)")
            self.assertGreater(len(needs), BASE["top_k"])
            for n in needs:
                self.assertEqual(n["total_bytes"], n["weights_bytes"] + n["arena_bytes"])
                self.assertLessEqual(n["total_bytes"], options["total"] or 12000)
                self.assertLessEqual(n["arena_bytes"], options.get("ram", 12000))
                self.assertLessEqual(n["weights_bytes"], options.get("flash", 12000))
                self.assertLessEqual(n["macs"], options.get("macs", 1 << 40))
            self.check_winner(study, 1)

    def test_rungs(self):
        """The best third of each rung, rounded down, goes on, with three times the images, whatever
        the jobs."""
        options = dict(BASE, top_k=7, rungs=3, rung_images=20, jobs=1)
        self.run_search(options)
        self.check_reference(dict(options, jobs=3))
        for r in query(self.study, "SELECT * FROM rounds"):
            ran = query(self.study, "SELECT r.*, g.total_bytes FROM runs AS r JOIN genotypes AS g "
                        "ON g.id = r.genotype_id WHERE g.round = %d AND r.rung < %d "
                        "ORDER BY r.val_accuracy DESC, g.id" % (r["round"], FINALS))
            rungs = [[x for x in ran if x["rung"] == rung] for rung in range(3)]
            self.assertEqual([len(x) for x in rungs], [7, 2, 1])
            self.assertEqual(rungs[2][0]["genotype_id"], r["best_id"])
            ids = [{x["genotype_id"] for x in rung} for rung in rungs]
            self.assertTrue(ids[2] < ids[1] < ids[0])
        rows = query(self.study, "SELECT * FROM rungs ORDER BY rung")
        self.assertEqual([json.loads(x["options_json"])["images"] for x in rows[:3]],
                         [20, 60, 180])
        finalists = json.loads(query(self.study, "SELECT * FROM events WHERE kind = 'finals'")[0]
                               ["detail_json"])["finalists"]
        last = query(self.study, "SELECT * FROM runs WHERE rung = 2 ORDER BY val_accuracy DESC")
        self.assertEqual(set(finalists), {x["genotype_id"] for x in last[:2]})

    def test_strategies(self):
        """Random search and evolution train what fits, unranked, whatever the jobs and kills."""
        for strategy in ("random", "evolution"):
            options = dict(BASE, strategy=strategy, top_k=8, rounds=4, rungs=2, finalists=1,
                           rung_images=20, rung_epochs=1)
            self.study = self.folder / strategy
            process = self.start(options)
            while process.poll() is None and len(self.runs()) < 20:
                time.sleep(0.02)
            self.kill(process)
            self.run_search(options)
            self.check_reference(dict(options, jobs=1))
            for r in query(self.study, "SELECT * FROM rounds"):
                self.assertEqual((r["trained"] + r["failed"], r["ranked"]), (8, 0))
            made = query(self.study, "SELECT * FROM genotypes WHERE state = 'chosen'")
            self.assertEqual(len(made), 32)
            self.assertLessEqual(max(m["total_bytes"] for m in made), BASE["total"])
            parents = {r: {m["parent_id"] for m in made if m["round"] == r} for r in range(4)}
            young = {m["id"] for m in made if m["round"] in (0, 1)}
            self.assertEqual([parents[0], parents[1]], [{""}, {""}])
            if strategy == "random":
                self.assertEqual([parents[2], parents[3]], [{""}, {""}])
            else:  # two rounds of eight are the population; the oldest eight have gone by round 3
                self.assertLessEqual(parents[2], young)
                self.assertLessEqual(parents[3], {m["id"] for m in made if m["round"] in (1, 2)})
                self.assertGreater(len(parents[3]), 1)

    def test_int8(self):
        """Finals end in int8: what is stored, judged and tested is the quantised network."""
        options = dict(BASE, precision="int8", total=9000, qat_epochs=2, finalist_epochs=25)
        process = self.start(options)
        while process.poll() is None and len(self.runs()) < 9:
            time.sleep(0.02)
        self.kill(process)
        self.run_search(options)
        self.check_reference(dict(options, jobs=1))
        self.check_winner(self.study, 1)
        best = query(self.study, "SELECT b.*, g.* FROM best AS b JOIN genotypes AS g "
                     "ON g.id = b.genotype_id")[0]
        self.assertLessEqual(best["total_bytes"], 9000)
        self.assertGreater(best["test_accuracy"], 50)
        with open(self.study / "best" / "model.safetensors", "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        tensors = [t for name, t in header.items() if name != "__metadata__"]
        self.assertIn("I8", {t["dtype"] for t in tensors})
        self.fail_search(dict(options, precision="float32"), 6, "precision")
        self.fail_search(dict(options, qat_epochs=1), 6, "qat_epochs")

    def test_finals_that_end_below_the_search(self):
        """What the rounds trained wins over finals that were too short, in either precision."""
        for precision, total in (("int8", 9000), ("float32", 12000)):
            self.study = self.folder / precision
            options = dict(BASE, precision=precision, total=total, qat_epochs=2, rung_epochs=9,
                           finalist_epochs=1)
            self.run_search(options)
            self.check_reference(dict(options, jobs=1))
            self.check_winner(self.study, 1)
            finals = query(self.study, f"SELECT * FROM runs WHERE rung >= {FINALS}")
            kept = [r for r in finals if r["seed"] == 1]
            trained = [r["val_accuracy"] for r in finals if r["seed"] == 0]
            self.assertEqual((len(kept), len(trained)), (1, 2))
            self.assertEqual(kept[0]["curve_json"], "[]")
            self.assertGreater(kept[0]["val_accuracy"], max(trained))
            best = query(self.study, "SELECT * FROM best")[0]
            self.assertEqual((best["genotype_id"], best["seed"], best["val_accuracy"]),
                             (kept[0]["genotype_id"], 1, kept[0]["val_accuracy"]))
            searched = query(self.study, "SELECT max(val_accuracy) AS accuracy FROM runs "
                             f"WHERE rung < {FINALS} AND genotype_id = '{best['genotype_id']}'")
            if precision == "float32":
                self.assertEqual(kept[0]["val_accuracy"], searched[0]["accuracy"])

    def test_several_bounds(self):
        """Each bound has a network of its own; a kill and the jobs change nothing."""
        options = dict(BASE, total=20000, total2=12000, total3=7000, bound_count=3, rungs=2,
                       finalists=1, jobs=2)
        process = self.start(options)
        while process.poll() is None and len(self.runs()) < 9:
            time.sleep(0.02)
        self.kill(process)
        self.run_search(options)
        self.check_reference(dict(options, jobs=1))
        rounds = query(self.study, "SELECT * FROM rounds")
        self.assertEqual([r["round"] for r in rounds], list(range(6)))
        bests = query(self.study, "SELECT b.*, g.total_bytes FROM best AS b JOIN genotypes AS g "
                      "ON g.id = b.genotype_id ORDER BY bound_bytes DESC")
        self.assertEqual([b["bound_bytes"] for b in bests], [20000, 12000, 7000])
        found = files(self.study)
        for number, b in enumerate(bests):
            self.assertLessEqual(b["total_bytes"], b["bound_bytes"])
            self.assertEqual(b["rung"], FINALS + number)
            weights = found["weights/%s-s%d-r%d.safetensors" % (b["genotype_id"], b["seed"],
                                                               b["rung"])]
            self.assertEqual(found[f"best/{b['bound_bytes']}/model.safetensors"], weights)
            if number == 0:
                self.assertEqual(found["best/model.safetensors"], weights)
        for r in rounds:
            limit = (20000, 12000, 7000)[r["round"] % 3]
            made = query(self.study, "SELECT * FROM genotypes WHERE round = %d AND state = 'chosen'"
                         % r["round"])
            self.assertLessEqual(max(m["total_bytes"] for m in made), limit)

    def test_bounds_go_on_from_each_other(self):
        """All first networks of the second bound were seen for the first one: it starts from the
        best of them that it can hold. That is the first one's base as well, whose children the
        first one then finds seen: it goes on from the best of those, and leaves the second one
        nothing. However often it is asked."""
        options = dict(BASE, total=12000, total2=11500, bound_count=2, preset="paper", rounds=2,
                       finalists=1, rung_epochs=1, finalist_epochs=1)
        self.run_search(options)
        rounds = query(self.study, "SELECT * FROM rounds")
        self.assertEqual([r["round"] for r in rounds], [0, 1, 2])
        (ended,) = query(self.study, "SELECT * FROM events WHERE kind = 'search-ended'")
        self.assertEqual((ended["number"], json.loads(ended["detail_json"])["bound"]), (3, 11500))
        # The networks of the frame, all seen, are counted beside the children of the other base.
        self.assertGreater(rounds[1]["duplicate"], rounds[0]["generated"] - 1)
        adopted = query(self.study, "SELECT * FROM events WHERE kind = 'base'")
        self.assertEqual([e["number"] for e in adopted], [1, 2])
        base, later = (json.loads(e["detail_json"])["genotype"] for e in adopted)
        self.assertEqual((rounds[1]["base_id"], rounds[2]["base_id"]), (base, later))
        made = {g["id"]: g for g in query(self.study, "SELECT * FROM genotypes")}
        self.assertEqual(made[base]["round"], 0)
        self.assertLessEqual(made[base]["total_bytes"], 11500)
        accuracy = {r["genotype_id"]: r["val_accuracy"] for r in
                    query(self.study, f"SELECT * FROM runs WHERE rung < {FINALS}")}
        self.assertEqual(accuracy[base], max(
            a for i, a in accuracy.items()
            if made[i]["round"] == 0 and made[i]["total_bytes"] <= 11500))
        self.assertEqual((made[later]["round"], rounds[0]["best_id"]), (1, base))
        self.check_idle(self.run_search(options))

    def test_counts_of_an_empty_round(self):
        """What was made in vain is counted too."""
        err = self.fail_search(dict(BASE, total=100, preset="paper"), 5, "the smallest found needs")
        smallest = int(err.split("needs ")[1].split()[0])
        options = dict(BASE, total=smallest, preset="paper", rounds=40)
        out = self.run_search(options)
        self.assertIn("exhausted", out)
        (ended,) = query(self.study, "SELECT * FROM events WHERE kind = 'search-ended'")
        last = ended["number"]
        self.assertEqual(query(self.study, "SELECT count(*) AS n FROM rounds")[0]["n"], last)
        states = query(self.study, f"SELECT state FROM genotypes WHERE round = {last}")
        self.assertEqual({s["state"] for s in states}, {"over_bound"})
        # The children of one base: of each op and place one more cell, and what may be trimmed.
        self.assertGreater(len(states) + json.loads(ended["detail_json"])["duplicate"], 56)
        self.check_idle(self.run_search(options))
        self.check_reference(options)

    def fail_trainings(self, where):
        """As if the trainings that are still missing had all diverged."""
        connection = sqlite3.connect(f"{self.study}/study.db", timeout=30)
        with connection:
            connection.execute(
                "INSERT OR IGNORE INTO runs (genotype_id, seed, rung, failed, reason, val_accuracy,"
                " val_loss, curve_json, weights, train_ms) " + where)
        connection.close()

    def test_round_that_fails(self):
        """A later round whose trainings all fail costs that round, not the search."""
        options = dict(BASE, rounds=3, rung_epochs=40)
        process = self.start(options)
        while query(self.study, "SELECT count(*) AS n FROM genotypes WHERE round = 1")[0]["n"] == 0 \
                if self.runs() else True:
            self.assertIsNone(process.poll())
            time.sleep(0.005)
        self.kill(process)
        connection = sqlite3.connect(f"{self.study}/study.db", timeout=30)
        with connection:
            connection.execute("DELETE FROM runs WHERE genotype_id IN "
                               "(SELECT id FROM genotypes WHERE round = 1)")
        connection.close()
        self.fail_trainings("SELECT id, 0, 0, 1, 'loss', NULL, NULL, '[]', '', 1 FROM genotypes "
                            "WHERE round = 1 AND state = 'chosen'")
        self.run_search(options)
        rounds = query(self.study, "SELECT * FROM rounds")
        self.assertEqual([(r["round"], r["trained"]) for r in rounds], [(0, 4), (1, 0), (2, 4)])
        self.assertEqual(rounds[1]["failed"], 4)
        self.assertEqual(rounds[1]["best_id"], rounds[0]["best_id"])
        self.assertEqual(rounds[1]["best_accuracy"], rounds[0]["best_accuracy"])
        self.assertEqual(rounds[2]["base_id"], rounds[0]["best_id"])
        self.check_winner(self.study, 1)
        self.check_idle(self.run_search(options))

    def test_first_round_that_fails(self):
        """Without a single network there is nothing to go on with: the search says why."""
        options = dict(BASE, rung_epochs=40)
        process = self.start(options)
        while not self.runs():
            self.assertIsNone(process.poll())
            time.sleep(0.005)
        self.kill(process)
        self.assertEqual(query(self.study, "SELECT * FROM rounds"), [])
        connection = sqlite3.connect(f"{self.study}/study.db", timeout=30)
        with connection:
            connection.execute("DELETE FROM runs")
        connection.close()
        self.fail_trainings("SELECT id, 0, 0, 1, 'loss of nan', NULL, NULL, '[]', '', 1 "
                            "FROM genotypes WHERE state = 'chosen'")
        self.fail_search(options, WORKER_FAILED,
                         "round 0: all 4 trainings failed, the last one: loss of nan")

    def test_finals_that_fail(self):
        """Where every final fails, what the rounds have made is the result."""
        options = dict(LONG, rounds=1, finalist_epochs=80)
        self.kill_in_finals(options)
        self.fail_trainings(f"SELECT r.genotype_id, s.seed, {FINALS}, 1, 'loss', NULL, NULL, '[]', "
                            "'', 1 FROM (SELECT DISTINCT genotype_id FROM runs WHERE rung = 1) AS r,"
                            " (SELECT 0 AS seed UNION SELECT 1) AS s")
        self.run_search(options)
        best = query(self.study, "SELECT * FROM best")[0]
        self.assertEqual((best["rung"], best["seed"]), (FINALS, 2))
        self.check_winner(self.study, 1)

    def check_winner(self, study, reads):
        """`best` is a finalist whose test accuracy is the one that was read, at most once each."""
        best = query(study, "SELECT * FROM best")
        self.assertEqual(len(best), 1)
        self.assertGreaterEqual(best[0]["rung"], FINALS)
        events = query(study, "SELECT * FROM events WHERE kind = 'test-read' ORDER BY number")
        self.assertEqual(len(events), reads)
        number = best[0]["rung"] - FINALS
        shown = [json.loads(e["detail_json"]) for e in events if e["number"] == number]
        self.assertEqual(shown, [{"genotype": best[0]["genotype_id"],
                                  "accuracy": best[0]["test_accuracy"]}])
        run = query(study, "SELECT weights FROM runs WHERE genotype_id = '%s' AND rung = %d AND "
                    "seed = %d" % (best[0]["genotype_id"], best[0]["rung"], best[0]["seed"]))
        found = files(study)
        self.assertEqual(found["best/model.safetensors"], found[run[0]["weights"]])

    def test_finished_study_is_left_alone(self):
        self.run_search(BASE)
        before, rows = everything(self.study), self.runs()
        written = {p: p.stat().st_mtime_ns for p in self.study.glob("*/*")}
        start = time.monotonic()
        self.check_idle(self.run_search(BASE))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(everything(self.study), before)
        self.assertEqual({p: p.stat().st_mtime_ns for p in self.study.glob("*/*")}, written)
        self.check_rows_kept(rows)

    def check_idle(self, out):
        """A search that trained nothing and did not read the test set."""
        self.assertTrue(out.splitlines()[-1].startswith("done"))
        self.assertEqual([line for line in out.splitlines()
                          if "jobs 0/" in line and not line.startswith(("plan", "continue"))], [])
        self.assertNotIn("test ", out)

    # ---- refused ---------------------------------------------------------------------------------

    def test_other_options_are_refused(self):
        self.run_search(BASE)
        other = write_data(self.folder / "other", seed=2)
        before, names = database_hash(self.study), sorted(os.listdir(self.study))
        changes = [({"seed": 8}, "seed"), ({"total": 12001}, "bound"), ({"rounds": 3}, "rounds"),
                   ({"lambda": 0.25}, "lambda"), ({"preset": "paper"}, "preset"),
                   ({"macs": 1000000}, "max_macs"), ({"top_k": 5}, "top_k"),
                   ({"finalist_seeds": 2}, "finalist_seeds"), ({"rung_images": 100}, "rung_images"),
                   ({"rounds": 0, "time_ms": 2000}, "rounds")]
        for change, text in changes:
            self.fail_search(dict(BASE, **change), 6, text)
        self.fail_search(BASE, 6, "data set", data=other)
        self.assertEqual(database_hash(self.study), before)
        self.assertEqual(sorted(os.listdir(self.study)), names)

    def test_senseless_options_are_refused(self):
        changes = [{"rounds": 0}, {"time_ms": 1000}, {"lambda": 1.5}, {"top_k": 0}, {"jobs": 0},
                   {"total": 0}, {"ram": 4000}, {"max_cells": 16}, {"finalists": 65},
                   {"rung_epochs": 0}, {"rungs": 0}, {"rungs": 9}, {"bound_count": 0},
                   {"bound_count": 2, "total2": 12000}, {"bound_count": 2}, {"rounds": 4294967295}, {"rung_images": 4294967295}]
        for change in changes:
            self.fail_search(dict(BASE, **change), 1, "")
        few = write_data(self.folder / "few", train=9)
        self.fail_search(BASE, 1, "validate", data=few)
        self.assertFalse(self.study.exists())

    def test_nothing_fits(self):
        err = self.fail_search(dict(BASE, total=100), 5, "the smallest found needs")
        self.assertFalse(self.study.exists())
        smallest = int(err.split("needs ")[1].split()[0])
        self.fail_search(dict(BASE, total=smallest - 1), 5, f"needs {smallest} bytes")
        self.fail_search(dict(BASE, macs=1), 5, "; 1 multiply-adds, the least found ")
        self.fail_search(dict(BASE, total=0, ram=1, flash=90000), 5, "arena 1 bytes, the least found ")
        self.assertFalse(self.study.exists())
        self.run_search(dict(BASE, total=smallest, rounds=1))

    def test_one_search_at_a_time(self):
        first = self.start(LONG)
        while first.poll() is None and not self.runs():
            time.sleep(0.05)
        self.fail_search(LONG, 5, "another process")
        self.assertIsNone(first.poll())
        self.kill(first)

    # ---- killed ----------------------------------------------------------------------------------

    def test_killed_again_and_again(self):
        source = random.Random()
        kills = 0
        for _ in range(12):
            process = self.start(LONG)
            try:
                process.communicate(timeout=source.uniform(0.05, 1.2))
                break
            except subprocess.TimeoutExpired:
                rows = self.runs()
                self.kill(process)
                kills += 1
                self.check_rows_kept(rows)
        rows = self.runs()
        self.run_search(LONG)
        self.check_rows_kept(rows)
        self.check_reference(LONG)
        self.check_winner(self.study, 1)
        self.assertGreater(kills, 0)

    def test_workers_end_with_the_search(self):
        """However early it is killed, nobody goes on with a training of minutes."""
        options = dict(BASE, rung_epochs=10000, total=40000)
        for tenth in range(8):
            process = self.start(options)
            time.sleep(0.06 + 0.03 * tenth)
            self.assertIsNone(process.poll())
            self.kill(process)

    def test_killed_workers_are_replaced(self):
        process = self.start(LONG)
        killed = 0
        while process.poll() is None and killed < 3:
            children = [p for p in processes_marked(self.mark) if p != process.pid]
            if children and self.runs():
                os.kill(children[0], signal.SIGTERM)
                killed += 1
                done = len(self.runs())
                while process.poll() is None and len(self.runs()) < done + 3:
                    time.sleep(0.01)  # two deaths of one job would end the search
            time.sleep(0.01)
        _, err = process.communicate(timeout=240)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertGreater(killed, 0)
        self.check_reference(LONG)

    def kill_in_finals(self, options):
        process = self.start(options)
        weights = self.study / "weights"
        while not list(weights.glob("*.checkpoint")):
            self.assertIsNone(process.poll(), "no checkpoint was seen")
            time.sleep(0.005)
        self.kill(process)
        return sorted(weights.glob("*.checkpoint")), sorted(weights.glob("*.history"))

    def test_killed_in_finals(self):
        """A final goes on from its checkpoint, also in the time that it says it took."""
        options = dict(LONG, rounds=1, finalists=1, finalist_seeds=1, finalist_epochs=80)
        _, histories = self.kill_in_finals(options)
        history = json.loads(histories[0].read_text())
        # At whatever epoch the checkpoint stands: the history may be one ahead of it.
        history["times"] = [spent + 90000 for spent in history["times"]]
        histories[0].write_text(json.dumps(history))
        self.run_search(options)
        self.check_reference(options)
        finals = query(self.study, f"SELECT * FROM runs WHERE rung = {FINALS}")
        self.assertGreater(finals[0]["train_ms"], 90000)

    def test_damaged_checkpoints(self):
        """A damaged checkpoint costs time, not the result."""
        def cut(checkpoint, _):
            checkpoint.write_bytes(checkpoint.read_bytes()[:-7])

        def garbage(checkpoint, _):
            checkpoint.write_bytes(b"\xff" * 200)

        def empty(checkpoint, _):
            checkpoint.write_bytes(b"")

        def no_history(_, history):
            history.unlink()

        def odd_history(_, history):
            history.write_text('{"points":[[1,0.5,"x"]],"times":[5]}')

        options = dict(LONG, rounds=1, finalists=1, finalist_seeds=1, finalist_epochs=40)
        first = self.folder / "killed"
        self.kill_in_finals(options)
        self.study.rename(first)
        for damage in (cut, garbage, empty, no_history, odd_history):
            with self.subTest(damage.__name__):
                shutil.copytree(first, self.study, symlinks=True)
                damage(next(self.study.glob("weights/*.checkpoint")),
                       next(self.study.glob("weights/*.history")))
                self.run_search(options)
                self.check_reference(options)
                shutil.rmtree(self.study)

    def test_leftovers_are_removed(self):
        """Half-written files, former folders, a link that is ahead of the row."""
        self.run_search(BASE)
        before = everything(self.study)
        weights = sorted(p for p in (self.study / "weights").iterdir())
        best = (self.study / "best").resolve()
        shown = (best / "model.safetensors").read_bytes()
        other = next(w for w in weights if w.read_bytes() != shown)
        (best / "model.safetensors").write_bytes(other.read_bytes())
        (self.study / "best.99").mkdir()
        (self.study / "best.99" / "model.safetensors").write_bytes(b"half")
        (self.study / "best.2").mkdir(exist_ok=True)
        os.symlink("best.99", self.study / "best.tmp123")
        weights[0].with_name(weights[0].name + ".tmp77").write_bytes(b"half")
        weights[0].with_name(weights[0].name + ".checkpoint").write_bytes(b"old")
        self.run_search(BASE)
        self.assertEqual(everything(self.study), before)
        self.check_reference(BASE)

    def test_copies_stay(self):
        """What a user puts beside our files is not ours to remove."""
        self.run_search(BASE)
        weights = next((self.study / "weights").iterdir())
        copies = [self.study / "best.keep", self.study / "best.1.old",
                  weights.with_name(weights.name + ".mine")]
        for copy in copies:
            copy.write_bytes(b"copy")
        self.run_search(BASE)
        for copy in copies:
            self.assertEqual(copy.read_bytes(), b"copy")

    def test_lost_best_is_made_again(self):
        self.run_search(BASE)
        before = everything(self.study)
        shutil.rmtree((self.study / "best").resolve())
        (self.study / "best").unlink()
        self.run_search(BASE)
        self.assertEqual(everything(self.study), before)

    def test_time_survives_a_kill(self):
        """The active time is stored while a long training runs."""
        options = dict(LONG, rounds=1, top_k=1, finalists=1, finalist_seeds=1,
                       finalist_epochs=10000, total=40000, jobs=1)
        process = self.start(options)
        while not [r for r in self.runs() if r["rung"] == 0]:
            time.sleep(0.05)
        stored, end = 0, time.monotonic() + 20
        while stored < 5000 and time.monotonic() < end:
            stored = query(self.study, "SELECT * FROM studies")[0]["active_ms"]
            time.sleep(0.1)
        self.assertIsNone(process.poll())
        self.kill(process)
        self.assertGreaterEqual(stored, 5000)
        self.assertEqual([r for r in self.runs() if r["rung"] >= FINALS], [])

    # ---- no room ---------------------------------------------------------------------------------

    def test_full_disk(self):
        """A limit on file sizes strikes the database, the weights, the checkpoints: one line each
        time, nothing that was learnt is wrong, and with room it goes on to the same end."""
        options = dict(BASE, total=1600000, rounds=1, top_k=2, rung_epochs=1, rung_images=64,
                       finalists=1, finalist_epochs=2, jobs=2)
        places = set()
        for limit in (1 << 12, 60000, 200000, 700000, 1500000, 2500000, 4000000):
            process = self.start(options, limit=limit)
            _, err = process.communicate(timeout=240)
            if process.returncode == 0:
                break
            self.assertEqual(err.count("\n"), 1, err)
            self.assertIn(process.returncode, (3, 8), err)
            places.add("checkpoint" if ".checkpoint" in err else "db" if "study.db" in err
                       else "weights" if "weights/" in err else "other")
            if (self.study / "study.db").exists():
                self.assertEqual([r for r in self.runs() if r["failed"]], [])
        self.assertLessEqual({"db", "weights", "checkpoint"}, places)
        self.run_search(options)
        self.check_reference(options)

    # ---- by time ---------------------------------------------------------------------------------

    def test_by_time(self):
        options = {k: v for k, v in BASE.items() if k not in ("rounds", "finalist_epochs")}
        start = time.monotonic()
        self.run_search(dict(options, time_ms=3000))
        spent = time.monotonic() - start
        self.assertLess(spent, 8)
        self.assertGreater(spent, 1)
        plans = query(self.study, "SELECT * FROM events WHERE kind = 'finals'")
        self.assertEqual([p["number"] for p in plans], [0])
        plan = json.loads(plans[0]["detail_json"])
        self.assertEqual(plan["time_ms"], 3000)
        self.assertEqual([r["rung"] for r in query(self.study, "SELECT rung FROM rungs")],
                         [0, FINALS])
        images = query(self.study, "SELECT * FROM events WHERE kind = 'rungs'")
        self.assertEqual([i["number"] for i in images], [0])
        self.assertIn(json.loads(images[0]["detail_json"])["images"], range(1, 12001))
        finals = query(self.study, f"SELECT * FROM runs WHERE rung = {FINALS}")
        self.assertEqual({f["genotype_id"] for f in finals}, set(plan["finalists"]))
        for f in finals:
            self.assertEqual(len(json.loads(f["curve_json"])), plan["epochs"])
        self.check_winner(self.study, 1)

        before, rows = everything(self.study), self.runs()
        for again in (3000, 2000):  # used up: nothing more is done
            self.check_idle(self.run_search(dict(options, time_ms=again)))
            self.assertEqual(everything(self.study), before)
        self.fail_search(dict(options, rounds=2), 6, "rounds")
        self.assertEqual(everything(self.study), before)

        former = query(self.study, "SELECT * FROM best")[0]
        self.run_search(dict(options, time_ms=12000))
        self.check_rows_kept(rows)
        after = tables(self.study)
        events = [e for e in after["events"] if e["kind"] == "finals"]
        self.assertEqual(len(events), 2, (plan, spent, tables(self.study)["studies"]))
        self.assertEqual([e for e in after["events"] if e["kind"] == "rungs"],
                         [e for e in before["tables"]["events"] if e["kind"] == "rungs"])
        later = json.loads(events[1]["detail_json"])
        self.assertEqual(later["time_ms"], 12000)
        self.assertTrue(len(after["rounds"]) > len(before["tables"]["rounds"]) or
                        later["epochs"] > plan["epochs"] or later["epochs"] == MOST_EPOCHS or
                        later["seeds"] > plan["seeds"],
                        (plan, later))
        best = query(self.study, "SELECT * FROM best")[0]
        self.assertGreaterEqual(best["val_accuracy"], former["val_accuracy"])
        self.check_winner(self.study, 1 if best["rung"] == FINALS else 2)

    def test_by_time_killed_in_rounds(self):
        """A search that goes on has as many rounds left as its time allows, not fewer."""
        options = {k: v for k, v in BASE.items() if k not in ("rounds", "finalist_epochs")}
        options["time_ms"] = 24000
        process = self.start(options)
        active = 0
        while active < 6000:  # a quarter: a little more than half of the rounds' share
            self.assertIsNone(process.poll())
            active = query(self.study, "SELECT active_ms FROM studies")[0]["active_ms"] \
                if self.runs() else 0
            time.sleep(0.05)
        self.kill(process)
        before = len(query(self.study, "SELECT * FROM rounds"))
        self.assertGreater(before, 1)
        process = self.start(options)
        while len(query(self.study, "SELECT * FROM rounds")) < before + 2:
            self.assertIsNone(process.poll())
            self.assertEqual(query(self.study, "SELECT * FROM events WHERE kind = 'finals'"), [])
            time.sleep(0.05)
        self.kill(process)

    def test_by_time_killed_and_given_more(self):
        """Finals that were interrupted are done first; others follow where they say more."""
        options = {k: v for k, v in BASE.items() if k not in ("rounds", "finalist_epochs")}
        _, histories = self.kill_in_finals(dict(options, time_ms=12000))
        plan = query(self.study, "SELECT * FROM events WHERE kind = 'finals'")
        rounds = query(self.study, "SELECT * FROM rounds")
        for path in histories:
            history = json.loads(path.read_text())
            history["times"] = [spent + 90000 for spent in history["times"]]
            path.write_text(json.dumps(history))
        self.run_search(dict(options, time_ms=12500))
        finals = query(self.study, f"SELECT * FROM runs WHERE rung = {FINALS}")
        first = json.loads(plan[0]["detail_json"])
        finals = [f for f in finals if f["seed"] < first["seeds"]]  # no weights of the rounds
        self.assertEqual(len(finals), len(first["finalists"]) * first["seeds"])
        self.assertTrue(any(f["train_ms"] > 90000 for f in finals), "a checkpoint was not used")
        self.assertEqual(query(self.study, "SELECT * FROM rounds"), rounds)
        plans = query(self.study, "SELECT * FROM events WHERE kind = 'finals'")
        self.assertEqual(plans, plan)  # no round is due, and half a second is no longer final
        self.check_winner(self.study, 1)

    def test_by_time_killed(self):
        """The plan of the finals is made once: a kill does not change it."""
        options = {k: v for k, v in BASE.items() if k not in ("rounds", "finalist_epochs")}
        options["time_ms"] = 5000
        self.kill_in_finals(options)
        plan = query(self.study, "SELECT * FROM events WHERE kind = 'finals'")
        rounds = query(self.study, "SELECT * FROM rounds")
        self.run_search(options)
        self.assertEqual(query(self.study, "SELECT * FROM events WHERE kind = 'finals'"), plan)
        self.assertEqual(query(self.study, "SELECT * FROM rounds"), rounds)
        self.check_winner(self.study, 1)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    DRIVER = sys.argv.pop(1)
    unittest.main(verbosity=2)
