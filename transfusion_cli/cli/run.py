"""The verbs of LightningCLI: fit, validate, test, predict."""

from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.cli.quiet import quieten
from transfusion_cli.reports.open_folder import OpenFolder


def run(verb: str, args: list[str]) -> TransfusionCLI:
    """Parse the configuration, build everything and run."""
    quieten()
    try:
        return TransfusionCLI([verb, *args])
    finally:
        OpenFolder.unshare()
