"""A data set, looked over."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transfusion_cli import __version__
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.inspection import image_checks, mask_checks, table_checks
from transfusion_cli.inspection.case_facts import CaseLook
from transfusion_cli.inspection.counts import ALL_SPLITS, co_occurrence, count, kinds, spread
from transfusion_cli.inspection.duplicates import Duplicates, find_duplicates
from transfusion_cli.inspection.finding import LEVELS, Finding
from transfusion_cli.inspection.image_facts import APART, MISSING, READ, UNKNOWN, UNREADABLE, ImageLook
from transfusion_cli.inspection.scan import Scan, scan

if TYPE_CHECKING:
    import pandas as pd

UNUSABLE = {
    MISSING: "missing",
    UNREADABLE: "unreadable",
    UNKNOWN: "unknown-values",
    APART: "misplaced-mask",
}
"""States of what a run cannot use, as the list of problems calls them."""


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
        unusable = np.flatnonzero(np.isin(self.scan.facts["state"], tuple(UNUSABLE)))
        if self.table.masks is not None:
            unusable = np.union1d(unusable, mask_checks.bare_rows(self.table))
        rows = np.union1d(unusable, self.duplicates.surplus(self.table))
        return np.asarray(self.table.ids[rows])

    def problems(self) -> pd.DataFrame:
        """One row for each image with a problem: id, split, patient, problem, and its reason or group of copies."""
        import pandas as pd

        problems = [
            (row, kind, self.scan.reasons[row])
            for state, kind in UNUSABLE.items()
            for row in self.scan.rows(state).tolist()
        ]
        if self.table.masks is not None:
            problems += [(row, "no-mask", "") for row in mask_checks.bare_rows(self.table).tolist()]
            problems += [(row, "empty-mask", "") for row in mask_checks.empty_rows(self.scan).tolist()]
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
    table, masked = data.load_samples(), isinstance(data, MaskDataModule)
    target, names, leak = data.target, data.class_names, data.known_leak
    # A module that is used refuses to go on where its samples are wrong; here they are to be looked at.
    findings = [*table_checks.check_published(table, getattr(data, "published", {}), target, names, leak)]
    table = table.used() if masked else table
    data.look_at(table)
    used: list[Any] = [split for split in ALL_SPLITS if (table.split == split).any()]
    if isinstance(data, MaskDataModule):
        labels = max((label for region in data.regions or [] for label in region), default=len(names))
        seen = scan(
            table,
            {split: data.stored_reader(split) for split in used},
            workers,
            progress,
            CaseLook(labels),
            data.unit,
        )
        counts = mask_checks.count_cases(table, seen, names, data.regions)
    else:
        readers = {split: data.make_reader(split, None) for split in used}
        seen = scan(table, readers, workers, progress, ImageLook(data.dims), data.unit)
        counts = count(table, target, names)
    facts = seen.facts
    eligible = (facts["state"] == READ) & (facts["contrast"] > 0)
    duplicates = find_duplicates(table, facts["digest"], eligible, facts["mask"] if masked else None)
    findings += table_checks.check_ids(table)
    findings += table_checks.check_counts(counts, target)
    findings += table_checks.check_patients(table, leak, data.unit)
    findings += image_checks.check_readable(table, seen, data.unit)
    findings += image_checks.check_duplicates(table, duplicates, leak, data.unit, "masks" if masked else "labels")
    findings += image_checks.check_empty(table, seen, data.unit)
    findings += image_checks.check_storage(seen)
    if masked:
        findings += mask_checks.check_masks(table, seen, data.unit, hasattr(data, "geometry"))
        findings += mask_checks.check_empty_masks(table, seen, counts)
    findings += image_checks.check_depth(seen, hasattr(data, "window"))
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Report(data, table, counts, _storage(facts[facts["state"] == READ]), findings, seen, duplicates)


def _storage(facts: np.ndarray) -> dict[str, Any]:
    """Sizes, and how many files there are of each kind."""
    if not len(facts):
        return {"read": 0}
    sides = ["height", "width"] if not facts["depth"].any() else ["depth", "height", "width"]
    sizes, counts = np.unique(facts[sides], return_counts=True)
    return {
        "read": len(facts),
        **({"depth": spread(facts["depth"])} if len(sides) == 3 else {}),
        "height": spread(facts["height"]),
        "width": spread(facts["width"]),
        **_spacing(facts),
        "sizes": len(sizes),
        "most_frequent_size": list(sizes[counts.argmax()].tolist()),
        "share_of_most_frequent_size": round(float(counts.max() / len(facts)), 4),
        "kinds": kinds(facts),
    }


def _spacing(facts: np.ndarray) -> dict[str, Any]:
    """Millimetres from voxel to voxel along each axis, where they are known."""
    if "spacing" not in (facts.dtype.names or ()) or not facts["spacing"].any():
        return {}
    return {"spacing": {axis: spread(facts["spacing"][:, place]) for place, axis in enumerate(("z", "y", "x"))}}
