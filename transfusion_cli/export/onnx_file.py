"""One ONNX file, with normalisation and probabilities inside."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transfusion_cli.export.deployed import Deployed
from transfusion_cli.export.packages import needed
from transfusion_cli.export.tracing import compared, not_recorded, two_of
from transfusion_cli.export.trained_run import TrainedRun

NAME = "model.onnx"
OPSET = 18
"""Both torch 2.8 and the newest write it by tracing, and runtimes have read it since 2023."""


def write(run: TrainedRun, kept: list[str], folder: Path) -> float:
    """Write ``model.onnx``, and see that it does what the run did.

    Traced rather than exported from a graph of torch's newer kind: that one takes ten times as long, another package,
    and writes the paths of this machine's packages into the file; both give the same numbers.

    Args:
        run: with its network folded.
        kept: strategies whose parts stay in the network.
        folder: to write to.

    Returns:
        The largest difference.

    Raises:
        UserError: a package is missing, the network cannot be traced, or outputs differ.
    """
    onnx, runtime = needed("onnx", "onnx"), needed("onnxruntime", "onnx")
    network = Deployed(run.task.network, run.task.target, run.preprocessing, run.decisions)
    path = folder / NAME
    try:
        trace(network, two_of(run.reference.images), path)
    except Exception as error:  # whatever a network does that cannot be recorded
        raise not_recorded(run.architecture, error) from error
    model = onnx.load(path)
    for name, value in run.about.items():
        model.metadata_props.add(key=name, value=json.dumps(value))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails is told below
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return compared(run, lambda images: session.run(None, {"image": images.numpy()}))


def trace(network: Deployed, images: Tensor, path: Path) -> None:
    """Record what a network does with some images, of which there may be any number later on."""
    any_number = {name: {0: "batch"} for name in ("image", *network.outputs)}
    options: dict[str, Any] = {"dynamo": False, "opset_version": OPSET, "dynamic_axes": any_number}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the recorder's age, and of sizes that it takes for constants
        torch.onnx.export(
            network, (images,), str(path), input_names=["image"], output_names=list(network.outputs), **options
        )
