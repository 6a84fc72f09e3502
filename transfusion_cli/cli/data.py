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

HELP = """\
usage: transfusion data ACTION --config FILE [options]

actions
  check       read every image: what is damaged, missing, there twice or in two splits, and how classes are spread
  prepare     decode every image once, at the size of the network, so that training need not
  show        images with their labels, as the network gets them

They read a config as fit does, and any key of it is a flag, such as --data.root DIR.
More: transfusion data prepare --help
"""


def run(verb: str, args: list[str]) -> Any:
    """Run one action.

    Raises:
        UserError: for an action that there is not.
    """
    action, *rest = args or ["--help"]
    if action in ("-h", "--help", "help"):
        print(HELP, end="")
        return None
    if action not in ACTIONS:
        raise UserError(f"transfusion {verb} has no action {action!r}.\n{did_you_mean(action, ACTIONS)}")
    return import_module(ACTIONS[action]).run(rest)
