"""Networks to look at, loaded from what the user typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transfusion_cli.analysis.spec import Spec
from transfusion_cli.analysis.subject import Subject
from transfusion_cli.analysis.taps import default_layers, matching_layers
from transfusion_cli.errors import UserError
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.restore import make_task, restore, saved_arguments


@dataclass(frozen=True)
class Network:
    """A loaded network.

    Args:
        spec: as the user named it.
        task: the task that holds it, in evaluation mode, without gradients.
        name: unlike any other's.
    """

    spec: Spec
    task: TransferTask
    name: str

    @property
    def subject(self) -> Subject:
        """The network for analysis."""
        return Subject(self.name, self.task.network, self.task.normalise)

    def layers(self, patterns: Sequence[str] | None = None) -> list[str]:
        """Names of the layers to look at: those that glob patterns fit, or timm's stages without any.

        Raises:
            UserError: a pattern fits nothing, or timm names no stages.
        """
        if patterns:
            return matching_layers(self.task.network, patterns)
        found = default_layers(self.task.network)
        if not found:
            raise UserError(f"timm names no stages of a {self.task.backbone}.\nChoose layers by --layers GLOB.")
        return found


def load_networks(specs: list[Spec], template: dict[str, Any] | None = None) -> list[Network]:
    """Load the networks, each an object of its own: first those as they were before training, then the trained ones.

    Args:
        specs: what to load; ``random`` takes the backbone of the first that has a path.
        template: the ``model`` section for ``random`` where no network has a path.

    Raises:
        UserError: a checkpoint cannot be read, or ``random`` has no backbone to take.
    """
    first = next((spec.path for spec in specs if spec.path is not None), None)
    section = saved_arguments(first) if first is not None else template
    if section is None:
        raise UserError("random: takes the backbone of another network.\nName a checkpoint too, or give --config.")
    names: list[str] = []
    networks = []
    for spec in specs:
        names.append(spec.name if spec.name not in names else f"{spec.name} #{names.count(spec.name) + 1}")
        networks.append(Network(spec, load_task(spec, section), names[-1]))
    networks.sort(key=lambda network: network.spec.kind == "run")  # in every pair, what was before comes first
    if first is not None:
        # Drawn weights bring no mean and standard deviation of their own.
        reference = next(network.task for network in networks if network.spec.path is not None)
        for network in networks:
            if network.spec.kind == "random":
                network.task.mean, network.task.std = reference.mean.clone(), reference.std.clone()
    return networks


def load_task(spec: Spec, template: dict[str, Any]) -> TransferTask:
    """Build one network, in evaluation mode.

    Args:
        spec: which.
        template: the ``model`` section that ``random`` takes its backbone from.
    """
    plain = "transfusion_cli.strategies.FullFineTuning"  # loads what is pretrained and changes no layer
    if spec.path is None:
        task = make_task({**template, "transfer": plain, "pretrained": False, "seed": spec.seed})
        task.build()
    elif spec.kind == "run":
        task = restore(spec.path)
    else:
        section = saved_arguments(spec.path)
        task = make_task({**section, "transfer": plain} if spec.kind == "pretrained" else section)
        task.build()
    task.requires_grad_(False)
    return task.eval()
