"""What lies where in the folder of a run."""

import os
from pathlib import Path
from typing import Self

from transfusion_cli.versions import newest, versions

ROOT = Path("lightning_logs")
"""Where runs lie unless ``--root`` says otherwise."""


class RunFolder:
    """``<root>/<name>/version_N/``: everything about one run.

    What is written again gets a number: a run that was resumed has a ``config_1.yaml`` too.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        """The resolved configuration."""
        self.overrides = self.path / "overrides.txt"
        """The command."""
        self.environment = self.path / "environment.json"
        """Versions, machine, seed."""
        self.split = self.path / "split.csv"
        """Which sample is in which split."""
        self.split_hash = self.path / "split.sha256"
        """By which a changed split is known."""
        self.preprocessing = self.path / "preprocessing.json"
        """What was made of volumes."""
        self.metrics = self.path / "metrics.csv"
        """What was logged."""
        self.steps_to_target = self.path / "steps_to_target.json"
        """When a metric got to its target."""
        self.results = self.path / "results.json"
        """Metrics of a test."""
        self.test_predictions = self.path / "predictions_test.csv"
        """What the test found, sample by sample."""
        self.predictions = self.path / "predictions.csv"
        """The same of ``predict``."""
        self.decisions = self.path / "decisions.json"
        """Calibration and thresholds, fitted on validation."""
        self.masks = self.path / "masks"
        """Folder of the masks that ``predict`` writes."""
        self.export = self.path / "export"
        """Folder of what was taken away, a folder each."""
        self.explained = self.path / "explained"
        """Folder of class activation maps."""
        self.checkpoints = self.path / "checkpoints"
        """Folder of the checkpoints."""
        self.best = self.checkpoints / "best.ckpt"
        """The best epoch."""
        self.last = self.checkpoints / "last.ckpt"
        """Where to go on."""
        self.delta = self.checkpoints / "delta.safetensors"
        """What training changed; written as it ends."""
        self.lock = self.path / ".lock"
        """Held by the process that trains."""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def shown(self) -> Path:
        """The folder as one would type it here: without what leads to where one is."""
        here = Path.cwd().resolve()
        return self.path.relative_to(here) if self.path.is_relative_to(here) else self.path

    @property
    def name(self) -> str:
        """Name of the run, the folder above."""
        return self.path.parent.name

    @property
    def number(self) -> int:
        """N of ``version_N``."""
        return int(self.path.name.removeprefix("version_"))

    @property
    def newest_config(self) -> Path:
        """The configuration that it went on with last, perhaps for longer than it was first asked to."""
        return newest(self.config)

    @classmethod
    def versions_of(cls, home: Path) -> list[Self]:
        """The runs of one name, the newest first: by their numbers, as the clocks of a cluster's machines differ."""
        runs = [cls(path) for path in home.glob("version_*") if path.name.removeprefix("version_").isdigit()]
        return sorted(runs, key=lambda run: run.number, reverse=True)

    @classmethod
    def around(cls, ckpt_path: str | Path | None) -> list[Self]:
        """Where the files of a checkpoint's run may lie: beside it, or one above."""
        if ckpt_path is None:
            return []
        parent = Path(os.path.realpath(ckpt_path)).parent  # through ``latest``, the run that it leads to now
        return [cls(parent), cls(parent.parent)]

    @classmethod
    def holding(cls, ckpt_path: str | Path | None) -> Self | None:
        """The run folder that a checkpoint lies in, told by its configuration, or None where it lies elsewhere."""
        return next((run for run in cls.around(ckpt_path) if run.newest_config.is_file()), None)

    @classmethod
    def config_of(cls, ckpt_path: str | Path | None) -> Path | None:
        """The newest configuration of a checkpoint's run."""
        run = cls.holding(ckpt_path)
        return None if run is None else run.newest_config

    @classmethod
    def preprocessing_of(cls, ckpt_path: str | Path | None) -> Path | None:
        """What a checkpoint's run made of volumes."""
        return next((run.preprocessing for run in cls.around(ckpt_path) if run.preprocessing.is_file()), None)

    @classmethod
    def split_of(cls, ckpt_path: str | Path | None) -> Path | None:
        """The split of a checkpoint's run."""
        return next((run.split for run in cls.around(ckpt_path) if run.split.is_file()), None)

    @classmethod
    def decisions_of(cls, ckpt_path: str | Path | None) -> list[Path]:
        """The decisions of a checkpoint's run, the newest first."""
        return [path for run in cls.around(ckpt_path) for path in versions(run.decisions)]
