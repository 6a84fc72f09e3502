"""What a finished run's folder says, read without importing what trained it."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.monitor import MONITOR
from transfusion_cli.metrics.time_to_event import direction
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.versions import versions
from transfusion_cli.yaml_file import read_yaml

NO_MATTER = ("seed_everything", "name", "root", "split", "test_after_fit", "ckpt_path", "weights_only", "verbose")
"""Keys of a config that say which of several like runs it is, or what happens after it."""

LINKED_SEEDS = ("data.seed", "model.seed")

ONLY_TOLD = ("data.subgroups",)
"""Keys of sections that change what a test tells, and nothing of what is trained."""


@dataclass(frozen=True)
class RunRecord:
    """One run: its newest configuration (a resumed run may have been given more epochs) and its newest test.

    Args:
        folder: where it is.
        name: name of the run.
        settings: the configuration by dotted keys, without what does not matter to the result.
        monitor: the metric that its best checkpoint is kept by.
        monitor_mode: ``min`` or ``max``.
        outcome: what ``steps_to_target.json`` says; None where there is none.
        results: what ``results.json`` says.
        seed: what ``--seed_everything`` said.
        predictions: the predictions of that test, case by case; None where it was not tested.
        left_out: names of results on other samples than those that the run held back, or of mirror images that it was
            not configured for, newer than ``results``.
    """

    folder: RunFolder
    name: str
    settings: dict[str, Any]
    monitor: str
    monitor_mode: str
    outcome: dict[str, Any] | None
    results: dict[str, Any]
    seed: Any = None
    predictions: Path | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: RunFolder) -> "RunRecord":
        """Read a run folder.

        Raises:
            UserError: when a file in it cannot be read.
        """
        try:
            config = read_yaml(folder.newest_config)
            settings = flatten({key: value for key, value in config.items() if key not in NO_MATTER})
            mirror = settings.get("model.mirror") is True
            outcome, (results, predictions, left_out) = _json(folder.steps_to_target), own_results(folder, mirror)
        except (OSError, AttributeError) as error:
            raise UserError(f"{folder} cannot be read as a run folder: {str(error).splitlines()[0]}") from None
        for key in (*LINKED_SEEDS, *ONLY_TOLD):
            settings.pop(key, None)
        checkpoint = config.get("checkpoint") or {}
        monitor = checkpoint.get("monitor") or MONITOR
        watched = outcome if outcome and outcome["budget"] is not None else None
        mode = checkpoint.get("mode") or direction(monitor)
        name = config.get("name") or folder.name
        seed = config.get("seed_everything")
        return cls(folder, name, settings, monitor, mode, watched, results, seed, predictions, left_out)

    @property
    def fingerprint(self) -> str:
        """The same for runs that differ in nothing but the seed."""
        return json.dumps(self.settings, sort_keys=True, default=str)

    @property
    def target(self) -> str | None:
        """What the run was to reach, such as ``val/auroc ≥ 0.91``; None where nothing was asked of it."""
        if self.outcome is None:
            return None
        return f"{self.outcome['metric']} {'≥' if self.outcome['mode'] == 'max' else '≤'} {self.outcome['value']:g}"

    @property
    def reached(self) -> bool:
        """Whether it got there."""
        assert self.outcome is not None
        return bool(self.outcome["reached"])

    @property
    def steps(self) -> float:
        """The step at which it got there, or else the last that was validated."""
        assert self.outcome is not None
        return float(self.outcome["step" if self.reached else "budget"])

    def test(self, metric: str) -> float | None:
        """A metric of the test split; None where it was not tested."""
        value: float | None = self.results.get(f"test/{metric}", {}).get("value")
        return value

    @cached_property
    def logged(self) -> list[dict[str, str]]:
        """The rows of its ``metrics.csv``."""
        if not (path := self.folder.metrics).is_file():
            return []
        try:
            with open(path, newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise _damaged(path, error) from None

    @property
    def epochs(self) -> int:
        """Epochs whose training loss was logged, counted from the start of the run."""
        return max((int(row["epoch"]) + 1 for row in self.logged if row.get("train/loss_epoch")), default=0)

    @property
    def measured(self) -> set[str]:
        """The metrics of the validation or the test split that it has, without the split; counts are none."""
        names = {name for name, entry in self.results.items() if not isinstance(entry.get("value"), int)}
        names |= {name for row in self.logged[:1] for name in row if name}
        return {name.partition("/")[2] for name in names if name.startswith(("val/", "test/"))}

    def best_validation(self, metric: str) -> float | None:
        """The best value that a metric took in any validation of the run."""
        name = f"val/{metric}"
        try:
            values = [float(row[name]) for row in self.logged if row.get(name)]
        except ValueError as error:
            raise _damaged(self.folder.metrics, error) from None
        values = [value for value in values if value == value]
        mode = self.monitor_mode if name == self.monitor else direction(name)
        return (min if mode == "min" else max)(values, default=None)


def own_results(folder: RunFolder, mirror: bool = False) -> tuple[dict[str, Any], Path | None, tuple[str, ...]]:
    """What the last test on the run's own split found, its predictions, and the names of newer tests on others.

    A test that averaged over mirror images, as the run's configuration does not, is none of these either: what it
    found would stand beside plain results of other runs.

    Args:
        folder: of the run.
        mirror: whether the run's configuration asks for mirror images.
    """
    left_out: list[str] = []
    for path in versions(folder.results):
        results = _json(path)
        origin = results.get("provenance") or {}
        if origin.get("own_split") and bool(origin.get("mirror")) <= mirror:
            number = path.stem.removeprefix(folder.results.stem)
            predictions = folder.test_predictions.with_stem(folder.test_predictions.stem + number)
            return results, predictions, tuple(left_out)
        left_out.append(path.name)
    return {}, None, tuple(left_out)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted keys as they are typed on the command line: without ``class_path``, ``init_args``."""
    if not isinstance(config, dict) or not config:
        return {prefix: config}
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key == "init_args":
            flat |= flatten(value, prefix) if value else {}
        elif key == "class_path":
            flat[prefix] = value
        else:
            flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _json(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        if not isinstance(content, dict | None):
            raise ValueError("no mapping")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    return content


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).splitlines()[0]
    return UserError(f"{path} is not as the run wrote it ({reason}).\nPut the run's own file back, or leave it out.")
