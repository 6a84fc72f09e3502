"""What a network started from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsReport:
    """Which tensors of a network came from its weights and which did not. The head is always fresh.

    Attributes:
        architecture: timm name of the network.
        source: file, published weights (``timm:resnet18.a1_in1k``) or ``random``.
        matched: names of the network's tensors (parameters and buffers) that were loaded.
        missing: names outside the head that the weights lack; they keep their random start.
        unexpected: names in the weights that the network lacks.
        shape_mismatch: the same name with another shape, as ``"name (64, 3, 7, 7) is not (64, 3, 3, 3)"``.
        head: names of the source's own classifier, left out.
        adapted: names of first convolutions converted to another number of input channels.
        decoder: names of a segmentation network's decoder that the weights lack; they start fresh, as the head does.
        notes: what else the user should know of how they entered the network.
    """

    architecture: str
    source: str
    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shape_mismatch: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    decoder: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every tensor outside the head, and outside a fresh decoder, was loaded."""
        return bool(self.matched) and not self.missing and not self.shape_mismatch

    @property
    def _fresh(self) -> str:
        carried = any(name.startswith("decoder.") for name in self.matched)
        if carried and self.decoder:
            return f"head and {len(self.decoder)} tensors of the decoder fresh"
        return "decoder and head fresh" if self.decoder else "head fresh"

    def summary(self) -> str:
        """A few lines for the console."""
        if not self.matched:
            return f"{self.architecture}: random weights"
        total = len(self.matched) + len(self.missing) + len(self.shape_mismatch)
        lines = [f"{self.architecture}: {len(self.matched)} of {total} tensors from {self.source}, {self._fresh}"]
        for what, names in (
            ("adapted to the input channels", self.adapted),
            ("not in the weights, random", self.missing),
            ("another shape, random", self.shape_mismatch),
            ("in the weights only, ignored", self.unexpected),
            ("classifier of the weights, left out", self.head),
        ):
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                lines.append(f"  {what}: {', '.join(names[:3])}{more}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)
