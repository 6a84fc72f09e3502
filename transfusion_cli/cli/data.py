"""``transfusion data``: look at the data, and prepare them, before anything trains."""

from importlib import import_module
from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.suggest import did_you_mean

ACTIONS = {
    "check": "transfusion_cli.cli.data_check",
    "prepare": "transfusion_cli.cli.data_prepare",
    "show": "transfusion_cli.cli.data_show",
}
"""What can be done with data, and the module whose ``run(args)`` does it."""

ASK_HELP = ("-h", "--help", "help")

HELP = """\
usage: transfusion data ACTION --config FILE [options]

actions
  check       read every image: what is damaged, missing, there twice or in two splits, and how classes are spread
  prepare     decode every image once, at the size of the network, so that training need not
  show        images with their labels or masks, as the network gets them

They read a config as fit does, and any key of it is a flag, such as --data.root DIR.
More: transfusion data prepare --help
"""


def run(verb: str, args: list[str]) -> Any:
    """Run one action."""
    action, *rest = args or ["--help"]
    if action in ASK_HELP:
        print(HELP, end="")
        return None
    check_action(args)
    return import_module(ACTIONS[action]).run(rest)


def check_action(args: list[str]) -> None:
    """See that there is an action of that name.

    Raises:
        UserError: there is none.
    """
    action = args[0] if args else "--help"
    if action not in ACTIONS and action not in ASK_HELP:
        raise UserError(f"transfusion data has no action {action!r}.\n{did_you_mean(action, ACTIONS)}")
