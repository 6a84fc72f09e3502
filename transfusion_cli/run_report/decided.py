"""Calibration and thresholds that a run keeps, where it has any."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transfusion_cli.run_folder import RunFolder
from transfusion_cli.versions import newest

_NAMES = re.compile(r"(calibrated_)?(brier|ece|calibration_slope|calibration_intercept)|threshold|\w+_at_[\w.]+")
"""Metrics of ``results.json`` that are about calibration and decisions."""

MEASURES = {"brier": "Brier score", "ece": "ECE", "calibration_slope": "slope", "calibration_intercept": "intercept"}


def is_decision(metric: str) -> bool:
    """Whether a metric of ``results.json``, without stage, is one of calibration or decisions."""
    return _NAMES.fullmatch(metric.partition("/")[0]) is not None


@dataclass(frozen=True)
class Decided:
    """``decisions.json``, read with nothing taken for granted.

    Args:
        content: what it holds.
    """

    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: RunFolder) -> Decided | None:
        """The newest of a run; None where there is none, or none that can be read."""
        path = newest(folder.path / "decisions.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls(content) if isinstance(content, dict) else None

    @property
    def labels(self) -> list[str]:
        """Labels, or classes."""
        labels = self.content.get("labels")
        return [str(name) for name in labels] if isinstance(labels, list) else list(map(str, self._map("thresholds")))

    @property
    def thresholds(self) -> dict[str, float]:
        """Of the labels that have one."""
        known = self._map("thresholds").items()
        return {str(name): float(value) for name, value in known if isinstance(value, int | float)}

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Label, how it is calibrated, threshold."""
        thresholds, rows = self.thresholds, []
        for name in self.labels:
            one = self._map("calibration").get(name)
            how = self._how(one if isinstance(one, dict) else {})
            rows.append((name, how, f"{thresholds[name]:.4g}" if name in thresholds else "none"))
        return rows

    @property
    def about(self) -> str:
        """By which rule, and on what it was fitted."""
        on, rule = self._map("fitted_on"), self.content.get("threshold_rule")
        many = "" if "n" not in on else f", {on['n']} samples"
        many += f" of {on['n_patients']} patients" if on.get("n_patients") else ""
        where = f"Fitted on the {on.get('split', 'validation')} split{many}."
        return where + (f" Thresholds: {rule}." if rule else "")

    def _map(self, name: str) -> Mapping[str, Any]:
        found = self.content.get(name)
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _how(one: Mapping[str, Any]) -> str:
        method = str(one.get("method", "none"))
        if why := one.get("why"):
            return f"{method} ({why})"
        known = [f"{key} {one[key]:.3g}" for key in ("scale", "shift") if isinstance(one.get(key), int | float)]
        return f"{method}, {', '.join(known)} of the logit" if known and method != "none" else method
