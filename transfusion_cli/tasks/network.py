"""The network of a task: how it is made, and what is known of it once its strategy has had its say."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import torch
from torch import nn

from transfusion_cli.models.base_weights import BaseWeights
from transfusion_cli.models.facts import head_names, input_size
from transfusion_cli.models.full_precision import FullPrecision
from transfusion_cli.models.pretrained import build_network
from transfusion_cli.models.segmentation.build import build_segmentation
from transfusion_cli.models.source_head import give_source_head
from transfusion_cli.models.weights_report import WeightsReport
from transfusion_cli.strategies.base import TransferStrategy
from transfusion_cli.strategies.parts import NetworkParts
from transfusion_cli.strategies.plan import Phase, check_plan


@dataclass(frozen=True, eq=False)
class Transferred:
    """A network that is ready to train.

    Args:
        network: as its strategy initialised and adapted it.
        base: the weights that the run started from.
        weights_report: how they fitted.
        carried: names of the tensors that came from them unchanged.
        parts: its parameters by role.
        plan: the phases of its training.
        input_size: (C, H, W) that its weights were made with, (C, D, H, W) of a network for volumes.
        source_classes: outputs of the source's own classifier; 0 where there is none, or no strategy asked.
    """

    network: nn.Module
    base: BaseWeights
    weights_report: WeightsReport
    carried: frozenset[str]
    parts: NetworkParts
    plan: list[Phase]
    input_size: tuple[int, ...]
    source_classes: int = 0


@dataclass(frozen=True)
class Recipe:
    """What makes a network: what ``TransferTask`` calls so.

    Another kind of network is another recipe, with a ``_create`` of its own and fields for what that needs.
    """

    backbone: str
    pretrained: bool | str
    num_outputs: int
    in_chans: int
    dropout: float
    image_size: int | tuple[int, int] | None
    seed: int
    backbone_args: dict[str, Any] = field(default_factory=dict)
    dims: Literal[2, 3] = 2
    inflate: Literal["centre", "mean", "acs"] = "centre"

    @classmethod
    def of(cls, task: Any) -> Self:
        """The recipe of a task, which has an attribute for each field."""
        return cls(**{field.name: getattr(task, field.name) for field in fields(cls)})

    def make(
        self, transfer: TransferStrategy, description: dict[str, Any] | None = None, with_base: bool = False
    ) -> Transferred:
        """Create the network and plan its training.

        Args:
            transfer: initialises and adapts the network, and selects what trains.
            description: what a checkpoint says about its network; the network is then made to receive the
                checkpoint's weights, without reading the pretrained ones. None starts a new run.
            with_base: read the pretrained weights all the same, as the ground of a delta checkpoint.
        """
        if description is None or with_base:
            network, report = self._create(self.pretrained)
            base = BaseWeights.of(network.state_dict(), report)
        else:
            network, report = self._create(pretrained=False)
            base = BaseWeights.from_dict(description["base"])
        size = tuple(description["input_size"]) if description else input_size(network)
        classes = self._introduce(transfer, network, description) if transfer.meets_source else 0
        if description is None:
            network = self._initialised(network, base, transfer)
            carried = frozenset(base.unchanged(network.state_dict()))
        else:
            carried = frozenset(description["carried"])
        kept = [tensor for name, tensor in network.state_dict(keep_vars=True).items() if name in carried]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)  # new layers start from the run's seed, whatever was drawn before
            transfer.adapt(network, carried)
        for name in head_names(network):
            FullPrecision(network.get_submodule(name))
        parts = transfer.regroup(NetworkParts.of(network, kept))
        plan = check_plan(transfer.select(parts), parts)
        return Transferred(network, base, report, carried, parts, plan, size, classes)

    def _create(self, pretrained: bool | str) -> tuple[nn.Module, WeightsReport]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build_network(
                self.backbone,
                num_outputs=self.num_outputs,
                in_chans=self.in_chans,
                pretrained=pretrained,
                drop_rate=self.dropout,
                image_size=self.image_size,
                backbone_args=self.backbone_args,
                dims=self.dims,
                inflate=self.inflate,
            )

    def _introduce(self, transfer: TransferStrategy, loaded: nn.Module, description: dict[str, Any] | None) -> int:
        """Show the source to the strategy, with its own classifier; the number of its classes."""
        with torch.random.fork_rng(devices=[]):
            if description is None:
                source: Any = copy.deepcopy(loaded)
                classes = give_source_head(source, self.backbone, self.pretrained)
            else:
                source = self._create(pretrained=False)[0]
                if classes := description.get("source_classes", 0):
                    source.reset_classifier(classes)
        for name in head_names(source):
            FullPrecision(source.get_submodule(name))
        transfer.meet(source.eval().requires_grad_(False), classes)
        return classes

    def _initialised(self, loaded: nn.Module, base: BaseWeights, transfer: TransferStrategy) -> nn.Module:
        """A network with the strategy's choice of the weights of ``loaded``."""
        state = loaded.state_dict()
        source = {name: state[name] for name in base.tensors}
        network, _ = self._create(pretrained=False)
        network.pretrained_cfg = loaded.pretrained_cfg
        transfer.initialize(network, source, torch.Generator().manual_seed(self.seed))
        return network


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """What makes a segmentation network: what ``build_segmentation`` calls so."""

    decoder: str = "unet"
    decoder_channels: Sequence[int] | None = None
    deep_supervision: bool = False

    def _create(self, pretrained: bool | str) -> tuple[nn.Module, WeightsReport]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build_segmentation(
                self.backbone,
                decoder=self.decoder,
                num_outputs=self.num_outputs,
                in_chans=self.in_chans,
                pretrained=pretrained,
                drop_rate=self.dropout,
                dims=self.dims,
                inflate=self.inflate,
                decoder_channels=self.decoder_channels,
                deep_supervision=self.deep_supervision,
                backbone_args=self.backbone_args,
            )
