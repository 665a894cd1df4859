#!/usr/bin/env python3
"""Writes torchvision's small classifiers as ONNX files, for memnet's importer to be tried on.

Needs Debian's python3-torch and python3-torchvision (tools/packages.sh bench); memnet itself does
not. The weights are random: only sizes matter.

Usage: export_onnx.py FOLDER [--opset N] [--no-folding]
"""
import argparse
import pathlib
import warnings

import torch
import torchvision.models as models

NETWORKS = {
    "mobilenet_v2": models.mobilenet_v2,
    "mobilenet_v3_small": models.mobilenet_v3_small,
    "shufflenet_v2_x1_0": models.shufflenet_v2_x1_0,
    "mnasnet1_0": models.mnasnet1_0,
    "squeezenet1_1": models.squeezenet1_1,
    "efficientnet_b0": models.efficientnet_b0,
    "densenet121": models.densenet121,
    "googlenet": lambda: models.googlenet(aux_logits=False, init_weights=False),
    "resnet18": models.resnet18,
}


def export(make, path, opset, folding):
    """One network of one 3x224x224 image, in evaluation mode."""
    torch.manual_seed(0)
    network = make().eval()
    # Without folding the batch norms stay as well: everything as the network was written.
    mode = torch.onnx.TrainingMode.EVAL if folding else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(network, torch.zeros(1, 3, 224, 224), str(path), opset_version=opset,
                      do_constant_folding=folding, training=mode)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--opset", type=int, default=13, help="9 to 17 (default: 13)")
    parser.add_argument("--no-folding", action="store_true",
                        help="leave constants uncomputed and batch norms unfolded")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, make in NETWORKS.items():
        path = options.folder / f"{name}.onnx"
        export(make, path, options.opset, not options.no_folding)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
