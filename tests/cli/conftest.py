"""What the tests of the command line share."""

import pytest
import yaml
from support.commands import transfusion

from transfusion_cli.cli.app import TransfusionCLI


@pytest.fixture
def parsed(monkeypatch):
    """A command's configuration, parsed and not run, as plain data."""
    monkeypatch.setattr(TransfusionCLI, "instantiate_classes", lambda cli: None)
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: None)
    return lambda command: yaml.safe_load(transfusion(command).saved_config())
