#!/usr/bin/env python3
"""What int8 costs in accuracy, and whether exported code keeps its promise: ten searched networks.

Usage: bench/int8_networks.py --cifar10 DIR --out DIR [--time T] [--epochs N] [--images N]
           [--qat-epochs N] [--boards] [--memnet FILE]

For Fashion-MNIST and CIFAR-10 and five bounds each: searches a network (--time, default 4m), trains
it (--epochs, default 12, on all but the validation images), quantises it with and without
fine-tuning, and reads the test images in float32 and with both. With --boards the fine-tuned network is
exported and run on every emulated board with --images test images (default 200): every output byte
is compared with the reference, sizes of symbols with the plan, and a linker script with one byte
less RAM must fail. What is finished lies in DIR and is not done again, unless the options are others:
then DIR is refused. Prints a table.
"""
import argparse
import gzip
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = ROOT / "tests" / "target" / "run_targets.py"
BOUNDS = ["24K", "32K", "48K", "64K", "128K"]
FASHION_IMAGES = pathlib.Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
CIFAR_RECORD = 1 + 32 * 32 * 3


def run(log, *command):
    """The command's standard output; what it says otherwise goes to the log."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=log,
                          universal_newlines=True)
    if done.returncode != 0:
        sys.exit("failed, see %s: %s" % (log.name, " ".join(str(c) for c in command)))
    return done.stdout


def raw_images(data, count):
    """Test images as firmware gets them: (H,W,C) bytes, one after the other."""
    if data.startswith("cifar10:"):
        records = (pathlib.Path(data[len("cifar10:"):]) / "test_batch.bin").read_bytes()
        planes = CIFAR_RECORD // 3
        images = bytearray()
        for i in range(count):
            image = records[i * CIFAR_RECORD + 1:(i + 1) * CIFAR_RECORD]
            for pixel in range(planes):
                images += image[pixel::planes]
        return bytes(images)
    return gzip.decompress(FASHION_IMAGES.read_bytes())[16:16 + 28 * 28 * count]


def network(options, data, bound, seed, folder):
    """One row of the table."""
    memnet = options.memnet
    result = folder / "row.json"
    told = {"time": options.time, "epochs": options.epochs, "qat_epochs": options.qat_epochs,
            "images": options.images if options.boards else 0}
    if result.exists():
        row = json.loads(result.read_text())
        if row.get("options") != told:
            sys.exit("%s: of other options, %s: give another --out" % (result, row.get("options")))
        return row
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "log", "a") as log:
        study, model, ptq, qat = (folder / name for name in (
            "study", "model.safetensors", "ptq.safetensors", "qat.safetensors"))
        run(log, memnet, "search", "--data", data, "--memory", bound, "--time", options.time,
            "--seed", seed, "--study", study)
        run(log, memnet, "train", study / "best" / "architecture.json", "--data", data, "--epochs",
            options.epochs, "--seed", seed, "--checkpoint", folder / "checkpoint", "--out", model)
        run(log, memnet, "quantize", model, "--data", data, "--out", ptq)
        run(log, memnet, "quantize", model, "--data", data, "--qat-epochs", options.qat_epochs,
            "--out", qat)
        row = {"data": data.split(":")[0], "bound": bound, "options": told}
        for name, path in (("float32", model), ("ptq", ptq), ("qat", qat)):
            said = json.loads(run(log, memnet, "eval", path, "--data", data, "--json"))
            row[name] = said["accuracy"]
        plan = json.loads(run(log, memnet, "memory", qat, "--json"))
        row.update(weights=plan["weights_bytes"], arena=plan["arena_bytes"])
        if options.boards:
            run(log, memnet, "export", qat, "--format", "c", "--out", folder / "export", "--force",
                "--no-boards")
            raw = folder / "images.raw"
            raw.write_bytes(raw_images(data, options.images))
            (folder / "boards.txt").write_text(run(
                log, sys.executable, TARGETS, "--export", "--raw", raw, "--images", options.images,
                folder / "export"))
            row["boards"] = "equal"
    temporary = result.with_name("row.tmp")
    temporary.write_text(json.dumps(row))
    temporary.replace(result)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cifar10", required=True, metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--time", default="4m")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--qat-epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--boards", action="store_true")
    parser.add_argument("--memnet", default=str(ROOT / "build" / "memnet"))
    options = parser.parse_args()
    rows = []
    print("| data set | bound | weights | arena | float32 | PTQ | QAT | boards |")
    print("|---|---|---|---|---|---|---|---|")
    for data in ("fashion-mnist", "cifar10:" + options.cifar10):
        for seed, bound in enumerate(BOUNDS, 1):
            folder = options.out / ("%s-%s" % (data.split(":")[0], bound))
            row = network(options, data, bound, seed, folder)
            rows.append(row)
            print("| %s | %s | %s | %s | %.2f | %.2f | %.2f | %s |" % (
                row["data"], row["bound"], format(row["weights"], ","), format(row["arena"], ","),
                row["float32"], row["ptq"], row["qat"], row.get("boards", "not run")), flush=True)
    mean = {name: statistics.mean(row[name] for row in rows) for name in ("float32", "ptq", "qat")}
    print("| **mean** | | | | %.2f | %.2f (%+.2f) | %.2f (%+.2f) | |" % (
        mean["float32"], mean["ptq"], mean["ptq"] - mean["float32"], mean["qat"],
        mean["qat"] - mean["float32"]))


if __name__ == "__main__":
    main()
