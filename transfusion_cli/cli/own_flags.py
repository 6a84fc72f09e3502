"""The flags of verbs that LightningCLI does not answer."""

import argparse
from typing import NoReturn

from transfusion_cli.errors import UserError


class OwnFlags(argparse.ArgumentParser):
    """argparse's parser, whose mistakes end like all others.

    Args:
        verb: what follows ``transfusion``.
        description: what it does.
        config: whether there is a config too, which the rest of ``parse_known_args`` belongs to.
    """

    def __init__(self, verb: str, description: str, config: bool = False) -> None:
        epilog = "Every key of the config is a flag too: --config FILE, --data.root DIR, ..." if config else None
        super().__init__(f"transfusion {verb}", description=description, epilog=epilog, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise a UserError in place of printing the usage."""
        raise UserError(f"{message}\nSee {self.prog} --help")
