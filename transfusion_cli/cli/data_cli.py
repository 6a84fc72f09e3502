"""What the actions of ``transfusion data`` share."""

from typing import Literal

import torch
from jsonargparse import Namespace

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.cli.config.parser import Parser
from transfusion_cli.data.base import FALLBACK_SIZE, MedicalDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.models.facts import input_size
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.weights_file import read_weights


class DataCLI(TransfusionCLI):
    """Parses like ``fit`` and builds the data module alone; writes nothing.

    Args:
        args: the flags of the config.
    """

    records = False
    datamodule: MedicalDataModule

    def __init__(self, args: list[str]) -> None:
        super().__init__(["fit", *args])

    def instantiate_classes(self) -> None:
        """Build the data module; images get the size that the network would ask for."""
        parser = Parser()
        parser.add_subclass_arguments(MedicalDataModule, "data")
        self.datamodule = parser.instantiate_classes(Namespace(data=self.own.data)).data
        sized = isinstance(self.datamodule, MaskDataModule) or self.datamodule.own_size is not None
        if self.datamodule.image_size is None and not sized:
            self.datamodule.network_size = expected_size(self.own.model, self.datamodule.dims)

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing trains."""


def expected_size(model: Namespace, dims: Literal[2, 3] = 2) -> tuple[int, ...]:
    """Sides that the network of a ``model`` section is made for, as ``TransferTask.build`` finds them.

    The network is built without memory for its weights.
    """
    given = dict(vars(model.init_args)) if "init_args" in model else {}
    if "backbone" not in given:
        return FALLBACK_SIZE
    weights = given.get("pretrained")
    if isinstance(weights, str) and weights.endswith(".safetensors") and dims == 2:
        stated = read_weights(weights).facts.get("input_size")
        if stated:
            return int(stated[-2]), int(stated[-1])
    with torch.device("meta"):
        further = given.get("backbone_args")
        network, _ = build_network(given["backbone"], num_outputs=1, pretrained=False, backbone_args=further, dims=dims)
    return input_size(network)[1:]
