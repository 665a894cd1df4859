"""Tiny data sets for the end-to-end tests, written without numpy, and what a study holds."""
import hashlib
import os
import pathlib
import random
import sqlite3
import struct


def write_npy(path, shape, data):
    dims = "".join(f"{d}, " for d in shape)
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }" % dims
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
    path.write_bytes(start + header.encode() + bytes(data))


def write_data(folder, seed=1, train=300, test=60):
    """8x8x1 images of 3 classes: class k lights the k-th third of the pixels, faintly, so that
    networks differ in accuracy and none is perfect."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    source = random.Random(seed)
    for part, count in (("train", train), ("test", test)):
        pixels = []
        for i in range(count):
            for p in range(64):
                pixels.append(source.randrange(216) + (38 if p * 3 // 64 == i % 3 else 0))
        write_npy(folder / f"x_{part}.npy", (count, 8, 8, 1), pixels)
        write_npy(folder / f"y_{part}.npy", (count,), [i % 3 for i in range(count)])
    return f"npy:{folder}"


TIMES = {"created_at", "active_ms", "train_ms"}


def query(study, sql):
    """Rows of a study, as dictionaries; also of one that was killed in the middle of a commit."""
    connection = sqlite3.connect(f"{study}/study.db", timeout=30)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute(sql)]
    connection.close()
    return rows


def tables(study):
    """Every table without its times."""
    names = [r["name"] for r in query(study, "SELECT name FROM sqlite_schema WHERE type='table'")]
    return {name: [{k: v for k, v in row.items() if k not in TIMES}
                   for row in query(study, f"SELECT * FROM {name}")]
            for name in sorted(names)}


def files(study):
    """Relative path -> hash of the weights and of what `best` shows."""
    study = pathlib.Path(study)
    found = {f"weights/{p.name}": p for p in (study / "weights").iterdir()}
    best = study / "best"
    found.update({f"best/{p.relative_to(best)}": p for p in best.rglob("*") if p.is_file()})
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in sorted(found.items())}


def everything(study):
    return {"tables": tables(study), "files": files(study)}


def database_hash(study):
    return hashlib.sha256(pathlib.Path(study, "study.db").read_bytes()).hexdigest()


def processes_marked(mark):
    """Living processes whose environment holds `mark`; zombies are dead."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
                if state not in "ZX":
                    found.append(int(entry.name))
        except OSError:
            pass
    return found
