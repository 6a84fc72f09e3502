"""What can be read of a case, and cannot be used."""

from transfusion_cli.errors import UserError


class UnknownValue(UserError):
    """A mask holds a value that stands for no class."""


class Misplaced(UserError):
    """A mask has another size than its image, or lies elsewhere."""
