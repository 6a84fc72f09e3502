"""What fine-tuning gave: from a table, or from the folders of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.time_to_event import direction
from transfusion_cli.reports.find_runs import find_runs
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.run_folder import ROOT
from transfusion_cli.transferability.evidence.table_file import read_values

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".txt", ".parquet")


def outcomes(paths: Sequence[Path], metric: str | None = None, root: Path = ROOT) -> pd.DataFrame:
    """Outcomes of tables and runs together.

    Args:
        paths: tables with the columns ``source``, ``target``, ``value``; anything else is run folders, folders of runs,
            patterns or names of runs, each with one metric of its test.
        metric: name without split, higher is better; by default the one that checkpoints of the first run are kept by.
        root: where runs are looked for by name.

    Returns:
        ``source``, ``target``, ``value``, each pair once: the mean over seeds.

    Raises:
        UserError: one of them cannot be read, or says of a pair what another says too.
    """
    import pandas as pd

    tables = [path for path in paths if path.suffix.lower() in TABLES]
    words = [str(path) for path in paths if path not in tables]
    frames = [read_values(path)[["source", "target", "value"]] for path in tables]
    if words:
        frames.append(of_runs([RunRecord.read(folder) for folder in find_runs(words, root)], metric))
    found = pd.concat(frames, ignore_index=True)
    if (again := found.duplicated(["source", "target"])).any():
        source, target = found.loc[again, ["source", "target"]].iloc[0]
        raise UserError(f"Two outcomes of {source} on {target} were given.\nLeave one out.")
    return found


def of_runs(runs: Sequence[RunRecord], metric: str | None = None) -> pd.DataFrame:
    """A metric of the test of runs, the mean over those that differ in nothing but the seed.

    Args:
        runs: at least one.
        metric: as of ``outcomes``.

    Raises:
        UserError: a run has no such metric, lower values of it are better, or two recipes share a source and a target.
    """
    import pandas as pd

    metric = metric or runs[0].monitor.partition("/")[2]
    if direction(metric) == "min":
        raise UserError(f"An outcome is a metric of which more is better, not {metric}.\nTry auroc, for instance.")
    values: dict[tuple[str, str], list[float]] = {}
    recipes: dict[tuple[str, str], RunRecord] = {}
    for run, target in zip(runs, _targets(runs), strict=True):
        value = run.test(metric)
        if value is None:
            raise UserError(f"{run.folder} has no test/{metric} on its own split.\nTry: transfusion test {run.folder}")
        pair = source_of(run), target
        other = recipes.setdefault(pair, run)
        if other.fingerprint != run.fingerprint:
            keys = sorted(
                key for key in {*run.settings, *other.settings} if run.settings.get(key) != other.settings.get(key)
            )
            raise UserError(
                f"{run.folder} and {other.folder} are of the same source and target, but not of one recipe:\n"
                f"they differ in {', '.join(keys[:3])}.\nGive the runs of one recipe alone."
            )
        values.setdefault(pair, []).append(value)
    rows = [(*pair, fmean(seeds)) for pair, seeds in values.items()]
    return pd.DataFrame(rows, columns=["source", "target", "value"])


def source_of(run: RunRecord) -> str:
    """What a run started from: ``resnet18.a1_in1k``, ``NAME=FILE`` for local weights, ``NAME=random`` for none."""
    name, weights = run.settings.get("model.backbone"), run.settings.get("model.pretrained", True)
    if weights is True:
        return str(name)
    return f"{name}={weights or 'random'}"


def _targets(runs: Sequence[RunRecord]) -> list[str]:
    """What each was tested on: the class of its data and, where one class has several splits, what tells them apart.

    That is an option of the data that the runs of a split share and those of no other have, or else the split's hash.
    """
    kinds = [str(run.settings.get("data")).rpartition(".")[2].removesuffix("DataModule") for run in runs]
    splits = [str((run.results.get("provenance") or {}).get("run_split_sha256")) for run in runs]
    names = []
    for kind, split in zip(kinds, splits, strict=True):
        groups: dict[str, list[RunRecord]] = {}
        for run, its_kind, its_split in zip(runs, kinds, splits, strict=True):
            if its_kind == kind:
                groups.setdefault(its_split, []).append(run)
        names.append(kind if len(groups) == 1 else f"{kind} {_telling(groups).get(split, split[:8])}")
    return names


def _telling(groups: dict[str, list[RunRecord]]) -> dict[str, str]:
    """By split, the value of the first option of the data that is its own alone; empty if there is none.

    In configs the options of a data set, such as which of several sets, come before those that all data have.
    """
    for key in dict.fromkeys(key for runs in groups.values() for run in runs for key in run.settings):
        if not key.startswith("data."):
            continue
        values = {split: {str(run.settings.get(key)) for run in runs} for split, runs in groups.items()}
        if all(len(own) == 1 for own in values.values()) and len(set.union(*values.values())) == len(groups):
            return {split: own.pop() for split, own in values.items()}
    return {}
