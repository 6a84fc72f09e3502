"""All that the folder of a run says."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from transfusion_cli.comparison.tested import Tested, read_tested
from transfusion_cli.data.run_split import RunSplit
from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.time_to_event import direction
from transfusion_cli.reports.provenance import file_hash
from transfusion_cli.reports.run_record import RunRecord
from transfusion_cli.reports.run_state import RunState
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.run_report.audit_text import AuditText
from transfusion_cli.run_report.decided import decisions_of
from transfusion_cli.versions import versions


@dataclass(frozen=True)
class RunFacts:
    """One run, told by its files alone; what is not there is empty.

    Args:
        state: configuration, results and what has become of the run.
        environment: of its start.
        commands: that it was begun and gone on with.
        split: which sample was in which split.
        audit: what trained.
        delta: metadata of the delta checkpoint, its ``task`` read.
        tested: predictions of the test, or why there are none.
        decided: calibration and thresholds.
        preprocessing: what was made of volumes.
        problems: files that could not be read, and why.
    """

    state: RunState
    environment: dict[str, Any]
    commands: list[str]
    split: RunSplit | None
    audit: AuditText | None
    delta: dict[str, Any]
    tested: Tested | str
    decided: Decisions | None
    preprocessing: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: RunFolder) -> RunFacts:
        """Read a run folder.

        Raises:
            UserError: its configuration, its metrics or its results cannot be read.
        """
        state, problems, split = RunState.read(folder), list[str](), None
        try:
            split = RunSplit.read(folder.split)
        except UserError as error:
            problems.append(str(error).splitlines()[0])
        commands = [_text(path).strip() for path in reversed(versions(folder.overrides))]
        return cls(
            state=state,
            environment=_json(folder.environment),
            commands=[command for command in commands if command],
            split=split,
            audit=AuditText.read(folder.path),
            delta=_delta(folder.delta),
            tested=read_tested(state.record),
            decided=decisions_of(folder),
            preprocessing=_json(folder.preprocessing),
            problems=problems,
        )

    @property
    def record(self) -> RunRecord:
        """What ``compare`` knows of it too."""
        return self.state.record

    @property
    def folder(self) -> RunFolder:
        """Where it is."""
        return self.record.folder

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.record.name}, {self.folder.path.resolve().name}"

    @property
    def typed(self) -> str:
        """Name and version as a command takes them, without the folders above, which tell of a machine."""
        path = self.folder.path.resolve()
        return shlex.quote(f"{path.parent.name}/{path.name}")

    @property
    def results(self) -> dict[str, Any]:
        """Of the newest test of what the run held back; empty without one."""
        return self.record.results

    @property
    def is_tested(self) -> bool:
        """Whether there is such a test."""
        return any(key.startswith("test/") for key in self.results)

    @cached_property
    def of_others(self) -> dict[str, dict[str, Any]]:
        """Newer tests on other samples, by the name of their file."""
        return {name: _json(self.folder.path / name) for name in self.record.left_out}

    def setting(self, *keys: str) -> Any:
        """The first of some settings that the configuration has and that is not null."""
        found = (self.record.settings.get(key) for key in keys)
        return next((value for value in found if value is not None), None)

    def options(self, prefix: str) -> dict[str, Any]:
        """What is set below a key, without what is null."""
        settings = self.record.settings.items()
        return {key[len(prefix) + 1 :]: v for key, v in settings if key.startswith(f"{prefix}.") and v is not None}

    def class_of(self, key: str) -> str:
        """A class that the configuration names, without its module."""
        return str(self.record.settings.get(key) or "").rpartition(".")[2]

    @property
    def masked(self) -> bool:
        """Whether the run marks parts of images."""
        return self.class_of("model") == "SegmentationTask" or "model.decoder" in self.record.settings

    @property
    def strategy(self) -> list[tuple[str, dict[str, Any]]]:
        """Strategies with their options, in order; full fine-tuning where none is named."""
        given = self.record.settings.get("model.transfer")
        if isinstance(given, list):
            return [_named(one) for one in given]
        if given is None:
            return [("FullFineTuning", {})]
        return [(str(given).rpartition(".")[2], self.options("model.transfer"))]

    @property
    def task(self) -> dict[str, Any]:
        """What the delta checkpoint says of the network: classes, input, carried tensors."""
        return self.delta.get("task") or {}

    @property
    def class_names(self) -> list[str]:
        """Classes or labels, where a file names them."""
        return [str(name) for name in self.task.get("class_names") or []]

    @property
    def patients_known(self) -> bool:
        """Whether the split knows patients."""
        return self.split is not None and bool((self.split.patients != "").any())

    @property
    def weights_file(self) -> Path:
        """The checkpoint that is evaluated."""
        return self.folder.best if self.folder.best.is_file() else self.folder.last

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of that checkpoint; empty where there is none."""
        return file_hash(self.weights_file) or ""

    def series(self, name: str) -> list[tuple[int, float]]:
        """Optimizer steps and values of what was logged under a name, as far as they are numbers."""
        found = []
        for row in self.record.logged:
            try:
                step, value = int(float(row["step"])) + 1, float(row[name])
            except (KeyError, TypeError, ValueError):
                continue
            if math.isfinite(value):
                found.append((step, value))
        return found

    @property
    def best(self) -> tuple[int | None, int, float] | None:
        """Epoch (from 1), optimizer step and value of the best validation."""
        name, mode = self.record.monitor, self.record.monitor_mode or direction(self.record.monitor)
        if not (series := self.series(name)):
            return None
        step, value = (min if mode == "min" else max)(series, key=lambda point: point[1])
        epochs = (row.get("epoch") for row in self.record.logged if row.get(name) and row.get("step") == str(step - 1))
        epoch = next((text for text in epochs if text), None)
        return (int(float(epoch)) + 1 if epoch else None), step, value


def _named(one: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(one, dict):
        return str(one).rpartition(".")[2], {}
    options = one.get("init_args") or {}
    return str(one.get("class_path", "")).rpartition(".")[2], {k: v for k, v in options.items() if v is not None}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _delta(path: Path) -> dict[str, Any]:
    """Its metadata, size and hash, and mean and standard deviation of the normalisation."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            found: dict[str, Any] = dict(file.metadata() or {})
            names = set(file.keys())
            found |= {name: file.get_tensor(name).ravel().tolist() for name in ("mean", "std") if name in names}
        found["task"] = json.loads(found.get("task") or "{}")
        return found | {"bytes": path.stat().st_size, "sha256": file_hash(path)}
    except (OSError, ValueError, SafetensorError):
        return {}
