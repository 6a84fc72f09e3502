"""The argument parser, with errors of two or three lines."""

from collections.abc import Callable
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from transfusion_cli.cli.config.constructors import Constructors
from transfusion_cli.cli.config.explain import explain
from transfusion_cli.cli.config.names import class_keys
from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.errors import UserError


class Parser(LightningArgumentParser):
    """LightningCLI's parser with short errors that name the nearest valid word."""

    sources = Sources()
    constructors: Constructors | None = None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a UserError in place of printing the whole usage."""
        if not self.exit_on_error:  # an inner parser of jsonargparse's, which waits for its own kind of exception
            super().error(message, ex)
        parsers = [self, *(self._subcommands_action.choices.values() if self._subcommands_action else [])]
        keys = [action.dest for parser in parsers for action in parser._actions]
        raise UserError(explain(message, self.sources, class_keys(), keys)) from ex

    def add_instantiator(self, instantiator: Callable[..., Any], class_type: type, *args: Any, **kwargs: Any) -> None:
        """Have ``instantiator`` call the constructors of a class and of what descends from it."""
        self.constructors = self.constructors or Constructors(self.sources)
        super().add_instantiator(self.constructors.watched(instantiator), class_type, *args, **kwargs)

    def instantiate_classes(self, *args: Any, **kwargs: Any) -> Any:
        """Build what is configured.

        Raises:
            UserError: a constructor refuses its arguments, however deep it lies.
        """
        self.add_instantiator(lambda cls, *values, **named: cls(*values, **named), object)  # for all other classes
        try:
            return super().instantiate_classes(*args, **kwargs)
        except Exception as error:
            assert self.constructors is not None
            if self.constructors.refusal is None:
                raise
            raise self.constructors.refusal from error
