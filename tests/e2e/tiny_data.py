"""Tiny data sets, written byte by byte, and architectures to go with them.

A toy data set is learnable: image i is of class i % classes, and class k lights the k-th stretch of
the pixels in row order, with noise on top. The same arguments give the same files.
"""
import json
import pathlib
import random
import struct


def toy_images(count, classes, shape, seed):
    """(pixels, labels): one bytes object for all images (N,H,W,C), and a list of classes."""
    noise = random.Random(seed)
    height, width, channels = shape
    sites = height * width
    pixels = bytearray()
    labels = [i % classes for i in range(count)]
    for label in labels:
        for site in range(sites):
            lit = 150 if site * classes // sites == label else 0
            pixels += bytes(lit + noise.randrange(100) for _ in range(channels))
    return bytes(pixels), labels


def npy(descr, shape, data):
    """The bytes of a .npy file, format 1.0."""
    text = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (
        descr, "".join("%d, " % n for n in shape))
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def idx(shape, data):
    """The bytes of an IDX file of uint8."""
    return struct.pack(">BBBB", 0, 0, 8, len(shape)) + struct.pack(
        ">%dI" % len(shape), *shape) + data


def write_npy(folder, train=80, test=30, classes=3, shape=(8, 8, 1), floats=False, seed=1):
    """x_train.npy and so on; returns the spec. `floats`: float32 pixels from 0 to 1."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("test", test)):
        pixels, labels = toy_images(count, classes, shape, "%s %s" % (seed, part))
        data, descr = pixels, "|u1"
        if floats:
            data = struct.pack("<%df" % len(pixels), *(p / 255 for p in pixels))
            descr = "<f4"
        (folder / ("x_%s.npy" % part)).write_bytes(npy(descr, (count,) + tuple(shape), data))
        (folder / ("y_%s.npy" % part)).write_bytes(npy("|u1", (count,), bytes(labels)))
    return "npy:%s" % folder


def write_idx(folder, train=80, test=30, classes=3, shape=(8, 8), seed=1):
    """The four files of the MNIST family; returns the spec."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for part, name, count in (("train", "train", train), ("test", "t10k", test)):
        pixels, labels = toy_images(count, classes, tuple(shape) + (1,), "%s %s" % (seed, part))
        (folder / (name + "-images-idx3-ubyte")).write_bytes(idx((count,) + tuple(shape), pixels))
        (folder / (name + "-labels-idx1-ubyte")).write_bytes(idx((count,), bytes(labels)))
    return "idx:%s" % folder


def cifar_records(pixels, labels):
    """Records of the binary version: label, then the red, green and blue plane of 32x32."""
    out = bytearray()
    for i, label in enumerate(labels):
        image = pixels[i * 3072:(i + 1) * 3072]
        out += bytes([label]) + image[0::3] + image[1::3] + image[2::3]
    return bytes(out)


def write_cifar(folder, per_batch=20, test=20, seed=1):
    """data_batch_1.bin to 5 and test_batch.bin; returns the spec."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in [("data_batch_%d" % b, per_batch) for b in range(1, 6)] + [
            ("test_batch", test)]:
        pixels, labels = toy_images(count, 10, (32, 32, 3), "%s %s" % (seed, name))
        (folder / (name + ".bin")).write_bytes(cifar_records(pixels, labels))
    return "cifar10:%s" % folder


def architecture(shape=(8, 8, 1), classes=3, width=6):
    """A small network with convolutions, a pool, an add and a concat, as a dictionary."""
    return {
        "format": 1, "input": list(shape), "classes": classes,
        "stem": {"width": width, "stride": 1},
        "blocks": [
            {"stride": 1, "width": width, "cells": [
                {"in": [0, 0], "op": ["conv_3x3", "max_pool_3x3"], "combine": "add", "out": True}]},
            {"stride": 2, "width": 2 * width, "cells": [
                {"in": [0, 0], "op": ["sep_conv_3x3", "conv_3x3"], "combine": "concat",
                 "out": False},
                {"in": [1, 0], "op": ["conv_3x3", "identity"], "combine": "add", "out": True}]},
        ],
        "head": "gap",
    }


def write_architecture(path, **changes):
    """Writes architecture(**changes) as JSON; returns the path as text."""
    pathlib.Path(path).write_text(json.dumps(architecture(**changes)))
    return str(path)
