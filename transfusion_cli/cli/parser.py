"""The argument parser, with errors of two or three lines."""

from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from transfusion_cli.cli.explain import explain
from transfusion_cli.cli.names import class_keys
from transfusion_cli.cli.sources import Sources
from transfusion_cli.errors import UserError


class Parser(LightningArgumentParser):
    """LightningCLI's parser with short errors that name the nearest valid word."""

    sources = Sources()

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a UserError in place of printing the whole usage."""
        if not self.exit_on_error:  # an inner parser of jsonargparse's, which waits for its own kind of exception
            super().error(message, ex)
        parsers = [self, *(self._subcommands_action.choices.values() if self._subcommands_action else [])]
        keys = [action.dest for parser in parsers for action in parser._actions]
        raise UserError(explain(message, self.sources, class_keys(), keys)) from ex
