"""A candidate, loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transfusion_cli.analysis.networks import load_task
from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import head_names, in_head
from transfusion_cli.models.source_head import give_source_head
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.head_inputs import feature_facts, head_input, head_outputs
from transfusion_cli.tasks.restore import saved_arguments
from transfusion_cli.transferability.candidates import Candidate

SHARED = ("in_chans", "dims", "inflate", "image_size", "target", "class_names")
"""What every candidate takes from the ``model`` section of the config."""


@dataclass(frozen=True)
class Source:
    """A candidate's network as it would begin to be fine-tuned, in evaluation mode, without gradients.

    Args:
        task: which holds it.
        carried: names of the tensors that did not begin at random.
        classes: of the source's own classifier, which the network then has; 0 where it has none.
    """

    task: TransferTask
    carried: frozenset[str]
    classes: int

    @classmethod
    def load(cls, candidate: Candidate, model: Mapping[str, Any]) -> "Source":
        """Load a candidate for some data.

        Args:
            candidate: which.
            model: arguments of the config's task, with ``target``, ``class_names`` and ``dims`` of the data.

        Raises:
            UserError: it cannot be built or loaded, or is no classifier.
        """
        if candidate.spec is not None:
            return cls._of_run(candidate, model)
        backbone = candidate.backbone or model["backbone"]
        own = {name: model[name] for name in SHARED if model.get(name) is not None}
        if backbone == model.get("backbone"):
            own["backbone_args"] = model.get("backbone_args")
        task = ClassificationTask(backbone=backbone, pretrained=candidate.pretrained, seed=candidate.seed, **own)
        task.build()
        classes = give_source_head(task.network, backbone, candidate.pretrained)
        return cls(_at_rest(task), task.transferred.carried, classes)

    @classmethod
    def _of_run(cls, candidate: Candidate, model: Mapping[str, Any]) -> "Source":
        spec = candidate.spec
        assert spec is not None and spec.path is not None
        task = load_task(spec, {})
        if not isinstance(task, ClassificationTask):
            raise UserError(f"{type(task).__name__} marks parts of images, and these data have a label for each")
        if task.dims != model["dims"]:
            raise UserError(f"its network is one for {'volumes' if task.dims == 3 else 'images'}, unlike these data")
        classes, carried = 0, task.transferred.carried
        if spec.kind == "run":
            task.transfer.finalize(task.network)
            classes = len(task.class_names) if task.target == "multiclass" else 0  # as others give no distribution
            carried = frozenset(
                name for name in task.network.state_dict() if not in_head(name, head_names(task.network))
            )
        elif spec.kind == "pretrained":
            given = saved_arguments(spec.path)
            classes = give_source_head(task.network, task.backbone, given.get("pretrained", True))
        return cls(_at_rest(task), carried, classes)

    @property
    def network(self) -> nn.Module:
        """The network."""
        return self.task.network

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of the images that it expects."""
        return self.task.input_size[1:]

    @property
    def parameters(self) -> int:
        """Parameters but for those of the classifier."""
        heads = head_names(self.network)
        return sum(value.numel() for name, value in self.network.named_parameters() if not in_head(name, heads))

    @property
    def classifier(self) -> nn.Module:
        """Its head."""
        return self.network.get_submodule(head_names(self.network)[0])

    def facts(self, device: torch.device) -> tuple[Any, ...]:
        """What decides what its head gets of an image of some size, for ``feature_key``; as ``HeadOnly`` knows it."""
        return feature_facts(self.task, "32-true", device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """What the head would get (B, D, ...) of images (B, C, *sides) as the data give them.

        Raises:
            UserError: the architecture has no head.
        """
        if not head_names(self.network):
            raise UserError("it has no head, whose input could be looked at")
        return head_input(self.network, self.task.normalise(images))

    @torch.no_grad()
    def chances(self, features: Tensor) -> Tensor:
        """Probabilities of the source's own classes (B, classes) from what its head gets."""
        return head_outputs(self.network, features, 0.0).softmax(dim=1)


def _at_rest(task: TransferTask) -> TransferTask:
    task.requires_grad_(False)
    return task.eval()


def weights_file(candidate: Candidate) -> str | bool | None:
    """What ``--model.pretrained`` says of a candidate; None where no file of weights holds it as it is."""
    if candidate.spec is None:
        return (
            str(Path(candidate.pretrained).absolute())
            if isinstance(candidate.pretrained, str)
            else candidate.pretrained
        )
    if candidate.spec.kind == "pretrained":
        assert candidate.spec.path is not None
        given: str | bool = saved_arguments(candidate.spec.path).get("pretrained", True)
        return given
    return None
