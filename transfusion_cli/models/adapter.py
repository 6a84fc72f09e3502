"""Fresh parameters beside a layer of a pretrained network."""

from typing import Any, Self

from torch import nn

CHILD = "adapter"
"""Name of an adapter in its host: nothing else of the network gets another name."""


class Adapter(nn.Module):
    """A module that changes what another one takes or gives, its host, by hooks.

    The host and its tensors keep their names, so a delta checkpoint holds the adapters alone, stages stay what they
    are, and whatever calls the host runs the adapter. What reads the host's weight without calling it does not: see
    :func:`~transfusion_cli.models.layer_kinds.adaptable`.
    """

    def attach(self, host: nn.Module) -> Self:
        """Become a child of ``host``, whose calls then go through ``before`` and ``after``.

        Its parameters move to where those of the host are, in device and precision.
        """
        first = next(host.parameters())
        host.add_module(CHILD, self.to(first.device, first.dtype))
        self.hooks = [host.register_forward_pre_hook(self.before), host.register_forward_hook(self.after)]
        return self

    def detach(self, host: nn.Module) -> None:
        """Leave ``host`` as it was."""
        for hook in self.hooks:
            hook.remove()
        delattr(host, CHILD)

    def before(self, host: nn.Module, inputs: tuple[Any, ...]) -> Any:
        """The inputs for the host in place of ``inputs``, or None for these."""

    def after(self, host: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        """The output of the host in place of ``output``, or None for this."""


def take_off(host: nn.Module) -> Adapter | None:
    """Detach the adapter of a module, where it has one, to be attached to what takes the module's place."""
    adapter = host._modules.get(CHILD)
    if not isinstance(adapter, Adapter):
        return None
    adapter.detach(host)
    return adapter


def hosts(network: nn.Module) -> list[tuple[nn.Module, Any]]:
    """Every module of the network that has an adapter, with that."""
    return [
        (module, module._modules[CHILD])
        for module in network.modules()
        if isinstance(module._modules.get(CHILD), Adapter)
    ]
