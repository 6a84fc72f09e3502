"""What the table of samples tells before any image is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from transfusion_cli.data.samples import SPLITS, SampleTable
from transfusion_cli.data.splits import in_several_splits
from transfusion_cli.inspection.counts import published_counts
from transfusion_cli.inspection.finding import Finding, examples
from transfusion_cli.targets import Target


def check_ids(table: SampleTable) -> Iterator[Finding]:
    """Every id must be there once."""
    names, counts = np.unique(table.ids, return_counts=True)
    again = names[counts > 1]
    if len(again):
        message = f"{len(again):,} ids stand for several samples: {examples(again)}"
        yield Finding("error", "ids", message, "Give every sample an id of its own.", {"ids": len(again)})


def check_counts(counts: Mapping[str, Mapping[str, Any]], target: Target) -> Iterator[Finding]:
    """No split may be empty, no class may lack training samples."""
    sizes = {split: counts[split]["images"] for split in SPLITS}
    if not any(sizes.values()):
        yield Finding("error", "empty-split", "No sample is in any split", "Check --data.root and the options.")
        return
    if not sizes["train"] and not sizes["val"]:
        yield Finding("warning", "empty-split", "There is nothing to train on: all samples are for the test")
    else:
        for split in (split for split in SPLITS if not sizes[split]):
            advice = "Check the split's folder or column, or let the module draw it: see val_fraction, test_fraction."
            yield Finding("error", "empty-split", f"The {split} split is empty", advice)
    for split in (split for split in SPLITS if sizes[split]):
        classes = dict(counts[split]["classes"])
        unknown = classes.pop("unknown")
        absent = [name for name, number in classes.items() if not number]
        if absent and split == "train":
            message = f"No training sample has {examples(absent)}"
            yield Finding("error", "absent-class", message, "Leave out what does not occur, or check the labels.")
        elif absent:
            message = f"No sample of the {split} split has {examples(absent)}"
            yield Finding("warning", "absent-class", message, "Scores that need it are undefined there.")
        if unknown:
            what = "labels" if target == "multilabel" else "samples"
            message = f"{unknown:,} {what} of the {split} split are unknown"
            yield Finding("note", "unknown-labels", message, "They join neither the loss nor the metrics.")


def check_published(
    table: SampleTable, published: Mapping[str, int], target: Target, class_names: Sequence[str], known_leak: str
) -> Iterator[Finding]:
    """Compare with the published counts, if there are any."""
    if not published:
        return
    if known_leak:
        yield Finding("note", "published", "Published counts are not compared: the protocol repeats images")
        return
    found = published_counts(table, list(published), target, class_names)
    details = {key: {"found": found[key], "published": number} for key, number in published.items()}
    differs = [key for key, number in published.items() if found[key] is not None and found[key] != number]
    if not differs:
        yield Finding("note", "published", "All counts are the published ones", details=details)
        return
    text = "; ".join(f"{key} {found[key]:,} (published {published[key]:,})" for key in differs)
    advice = "Is the download complete? Are there files that do not belong, or options that leave some out?"
    yield Finding("warning", "published", f"Counts differ from the published ones: {text}", advice, details)


def check_patients(table: SampleTable, known_leak: str, unit: str = "images") -> Iterator[Finding]:
    """No patient may have images in two splits."""
    if known_leak:
        advice = "The numbers are good for comparison with that paper alone."
        yield Finding("warning", "known-leak", f"A leak on purpose: {known_leak}", advice)
        return
    if table.patients is None:
        message = "No patients are known: whether a patient is in two splits cannot be checked"
        yield Finding("note", "patients", message, f"Intervals are over {unit}, and too narrow where patients recur.")
        return
    labelled = np.isin(table.split, SPLITS)
    crossing = in_several_splits(table.groups, np.where(labelled, table.split, ""))
    if len(crossing):
        images = labelled & np.isin(table.groups, crossing)
        names = np.unique(table.patients[images])
        message = (
            f"{len(crossing):,} patients are in more than one split, with {images.sum():,} {unit}: {examples(names)}"
        )
        advice = f"Give all {unit} of a patient one split, or leave the split out to have it drawn by patient."
        details = {"patients": len(crossing), "images": int(images.sum()), "names": [str(name) for name in names]}
        yield Finding("error", "patients-across-splits", message, advice, details)
