"""A data set, looked over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli import __version__
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.inspection import image_checks, table_checks
from transfusion_cli.inspection.counts import ALL_SPLITS, co_occurrence, count, kinds, spread
from transfusion_cli.inspection.duplicates import Duplicates, find_duplicates
from transfusion_cli.inspection.finding import LEVELS, Finding
from transfusion_cli.inspection.image_facts import MISSING, READ, UNREADABLE
from transfusion_cli.inspection.scan import Scan, scan

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Report:
    """All that is known of a data set after every image was read.

    Args:
        data: the data module.
        table: its samples, the training subset not taken.
        counts: images, patients and classes of each split.
        images: sizes and kinds of file.
        findings: the gravest first.
        scan: facts of each image.
        duplicates: images that are there more than once.
    """

    data: MedicalDataModule
    table: SampleTable
    counts: dict[str, dict[str, Any]]
    images: dict[str, Any]
    findings: list[Finding]
    scan: Scan
    duplicates: Duplicates

    @property
    def has_errors(self) -> bool:
        """Whether something would make results wrong."""
        return any(finding.level == "error" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        report = {
            "transfusion": __version__,
            "data": type(self.data).__name__,
            "root": None if self.data.root is None else str(self.data.root),
            "target": self.data.target,
            "class_names": list(self.data.class_names),
            "errors": sum(finding.level == "error" for finding in self.findings),
            "findings": [asdict(finding) for finding in self.findings],
            "splits": self.counts,
            "images": self.images,
        }
        if self.table.patients is not None:
            inside = self.table.groups[self.table.split != ""]
            sizes = np.unique(inside, return_counts=True)[1]
            report["images_per_patient"] = spread(sizes) if len(sizes) else None
        if self.data.target == "multilabel":
            inside = self.table.split != ""
            report["co_occurrence"] = co_occurrence(self.table.targets[inside]).tolist()
        return report

    def surplus(self) -> np.ndarray:
        """Ids to leave out so that all images can be read and none is there twice."""
        unreadable = np.isin(self.scan.facts["state"], (MISSING, UNREADABLE))
        rows = np.union1d(np.flatnonzero(unreadable), self.duplicates.surplus(self.table))
        return np.asarray(self.table.ids[rows])

    def problems(self) -> pd.DataFrame:
        """One row for each image with a problem: id, split, patient, problem, and its reason or group of copies."""
        import pandas as pd

        parts = [(self.scan.rows(MISSING), "missing"), (self.scan.rows(UNREADABLE), "unreadable")]
        problems = [(row, kind, self.scan.reasons[row]) for rows, kind in parts for row in rows.tolist()]
        problems += [(row, "empty", "") for row in image_checks.empty_rows(self.scan).tolist()]
        copies = self.duplicates
        for row, group in sorted(zip(copies.rows.tolist(), copies.groups.tolist(), strict=True), key=lambda p: p[1]):
            kind = "conflicting-labels" if copies.conflicts[group] else "duplicate"
            kind = "duplicate-across-splits" if copies.crosses[group] else kind
            problems.append((row, kind, f"group {group}"))
        found = pd.DataFrame(problems, columns=["row", "problem", "detail"])
        told = self.table.frame()[["id", "split", "patient"]].iloc[found.pop("row").astype(int)]
        return told.reset_index(drop=True).join(found)


def inspect(data: MedicalDataModule, workers: int | None = None, progress: bool = True) -> Report:
    """Look a data set over: its table, then every image.

    Args:
        data: the data module; what it excludes is left out, its training subset is not taken.
        workers: processes that read; None takes one for each core.
        progress: show a bar.

    Raises:
        UserError: the table itself cannot be read.
    """
    table = data.load_samples()
    target, names, leak = data.target, data.class_names, data.known_leak
    # A module that is used refuses to go on where its samples are wrong; here they are to be looked at.
    findings = [*table_checks.check_published(table, getattr(data, "published", {}), target, names, leak)]
    data.look_at(table)
    counts = count(table, target, names)
    findings += table_checks.check_ids(table)
    findings += table_checks.check_counts(counts, target)
    findings += table_checks.check_patients(table, leak)

    used = [split for split in ALL_SPLITS if (table.split == split).any()]
    seen = scan(table, {split: data.make_reader(split, None) for split in used}, workers, progress)  # type: ignore[arg-type]
    facts = seen.facts
    duplicates = find_duplicates(table, facts["digest"], (facts["state"] == READ) & (facts["contrast"] > 0))
    findings += image_checks.check_readable(table, seen)
    findings += image_checks.check_duplicates(table, duplicates, leak)
    findings += image_checks.check_empty(table, seen)
    findings += image_checks.check_storage(seen)
    findings += image_checks.check_depth(seen, hasattr(data, "window"))
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Report(data, table, counts, _storage(facts[facts["state"] == READ]), findings, seen, duplicates)


def _storage(facts: np.ndarray) -> dict[str, Any]:
    """Sizes, and how many files there are of each kind."""
    if not len(facts):
        return {"read": 0}
    sizes, counts = np.unique(facts[["height", "width"]], return_counts=True)
    height, width = sizes[counts.argmax()].tolist()
    return {
        "read": len(facts),
        "height": spread(facts["height"]),
        "width": spread(facts["width"]),
        "sizes": len(sizes),
        "most_frequent_size": [height, width],
        "share_of_most_frequent_size": round(float(counts.max() / len(facts)), 4),
        "kinds": kinds(facts),
    }
