"""Which analyses there are."""

import argparse
import pkgutil
from importlib import import_module

from transfusion_cli import analysis
from transfusion_cli.analysis.base import Analysis, analyses


def test_every_analysis_is_found_by_the_name_of_its_file():
    found = analyses()
    assert tuple(found) == analysis.ANALYSES
    assert all(type(one).__module__ == f"{analysis.__name__}.{name}" for name, one in found.items())
    for module in pkgutil.iter_modules(analysis.__path__):
        import_module(f"{analysis.__name__}.{module.name}")
    assert {kind.name for kind in Analysis.__subclasses__()} == {*found}, "none is left off the list"


def test_flags_of_all_analyses_go_together():
    parser = argparse.ArgumentParser()
    for one in analyses().values():
        one.add_flags(parser.add_argument)
    given = parser.parse_args(["--points", "3", "--positions", "0"])
    assert (given.points, given.positions, given.neighbours) == (3, 0, 10)
