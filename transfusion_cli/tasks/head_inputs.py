"""What a head that trains alone is given: features that the rest of the network computes once."""

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import transfusion_cli
from transfusion_cli.errors import UserError
from transfusion_cli.models.facts import head_names, in_head
from transfusion_cli.models.state_hash import state_hash

TOLERANCE = 1e-5
"""How far logits of features and logits of images may be apart, as a share of the largest where that is above 1."""

NO_MATTER = {"training", "num_classes", "drop_rate", "momentum"}
"""Attributes of modules that say nothing of features which do not move."""

Batch = dict[str, Tensor]


class HeadInputs:
    """Puts features in the place of images where a phase trains on them, and knows what the head makes of them.

    A feature is what the classifier is given for an image in evaluation mode, before dropout, in the precision of the
    run. From there on nothing differs: loss, metrics, order, dropout and checkpoints are those of images.
    """

    def announce(self, task: Any) -> None:
        """Tell the data module, before it makes its loaders, to give features.

        Args:
            task: a task with a network, about to train or to be evaluated.

        Raises:
            UserError: the images would change from epoch to epoch.
        """
        cached, data = task.phase.cached, task.trainer.datamodule
        if cached is None or task.trainer.state.fn != "fit":
            return
        if data is None:
            raise UserError("HeadOnly caches features of a data module, and there are loaders alone.\nGive datamodule=")
        if data.augmentation and not cached.views:
            raise UserError(
                "HeadOnly cannot cache features of augmented images: they are others in every epoch.\n"
                "Set --data.augmentation null, or have so many views of each image cached: --model.transfer.views 10"
            )
        if cached.views and not data.augmentation:
            raise UserError(
                f"The {cached.views} views of each image would be the same: --data.augmentation is null.\n"
                "Set --model.transfer.views 0."
            )
        if cached.l2 and data.balanced:
            raise UserError(
                "l2 is fitted on every training image once, which --data.balanced true does not do.\n"
                "Set --data.balanced false; --model.class_weights auto gives all classes the same weight."
            )
        data.use_features(cached.views)

    def begin(self, task: Any, prepare: Callable[[Batch], Tensor]) -> None:
        """Compute what is not known yet; all processes take part.

        Args:
            task: on its device, with the weights that it trains from.
            prepare: makes the images of a batch the network's input.

        Raises:
            UserError: the network does more with its features than it is known for here.
        """
        data = task.trainer.datamodule
        if not getattr(data, "features", None):
            return
        task.running_statistics.begin(task, task.transferred, task.phase, prepare)  # which would move them
        compared = False

        def compute(batch: Batch) -> Tensor:
            nonlocal compared
            images = prepare(batch)
            with torch.no_grad(), task.trainer.precision_plugin.forward_context():
                if not compared:
                    _compare(task, images[:2])
                    compared = True
                return head_input(task.eval().network, images)

        facts = feature_facts(task, str(task.trainer.precision), task.device)
        data.fill_features(task.phase.cached.folder, facts, compute)
        task.train()

    def outputs(self, task: Any, batch: Batch) -> Tensor:
        """Logits (B, K) of a batch of images or of features."""
        if "features" not in batch:
            logits: Tensor = task(batch["image"])
            return logits
        return head_outputs(task.network, batch["features"], task.dropout)


def head_outputs(network: nn.Module, features: Tensor, dropout: float) -> Tensor:
    """Logits (B, K) of features (B, ...), by the classifier and the dropout before it.

    Args:
        network: with one classifier.
        features: what it is given in evaluation mode.
        dropout: a probability, where the network does not say.
    """
    head = network.get_submodule(head_names(network)[0])
    dropped = F.dropout(features, float(getattr(network, "drop_rate", dropout)), head.training)
    logits: Tensor = head(dropped)
    return logits.flatten(1)


def head_input(network: nn.Module, images: Tensor) -> Tensor:
    """What the classifier is given for images."""
    given: list[Tensor] = []

    def note(head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given.append(inputs[0])

    head = network.get_submodule(head_names(network)[0])
    hook = head.register_forward_pre_hook(note, prepend=True)  # before it is widened
    try:
        network(images)
    finally:
        hook.remove()
    return given[0]


def _compare(task: Any, images: Tensor) -> None:
    """See that features lead where images lead, in evaluation and in training."""
    features = head_input(task.eval().network, images)
    for training in (False, True):
        task.train(training)
        outputs = []
        for forward in (lambda: task(images), lambda: head_outputs(task.network, features, task.dropout)):
            with torch.random.fork_rng():
                torch.manual_seed(task.seed)
                outputs.append(forward())
        live, cached = outputs
        apart = float((cached - live).abs().max()) if cached.shape == live.shape else float("inf")
        if not apart <= TOLERANCE * max(1.0, float(live.abs().max())):
            raise UserError(
                f"HeadOnly cannot cache the features of {task.backbone}: what it does with them is more than\n"
                f"dropout and a classifier (logits are {apart:.2g} apart).\n"
                "Set --model.transfer.cache false."
            )


def feature_facts(task: Any, precision: str, device: torch.device) -> tuple[Any, ...]:
    """All that decides features beside the pixels: weights, architecture, normalisation, precision, versions.

    Args:
        task: with a network.
        precision: as the trainer calls it.
        device: where they are computed.
    """
    network = task.network
    heads = head_names(network)
    body = {name: tensor for name, tensor in network.state_dict().items() if not in_head(name, heads)}
    layers = [
        (name, type(module).__qualname__, sorted(_plain(module).items()))
        for name, module in network.named_modules()
        if not in_head(f"{name}.", heads)
    ]
    versions = (transfusion_cli.__version__, timm.__version__, torch.__version__)
    computing = (precision, torch.get_float32_matmul_precision(), device.type)
    scale = (task.mean.flatten().tolist(), task.std.flatten().tolist())
    return versions, computing, task.backbone, layers, scale, state_hash(body)


def _plain(module: nn.Module) -> dict[str, Any]:
    """Options of a layer that are in no weight, such as strides."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str | tuple) and not name.startswith("_") and name not in NO_MATTER
    }
