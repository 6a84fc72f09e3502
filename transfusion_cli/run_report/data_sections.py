"""What the run was made of: data flow, demographics."""

from __future__ import annotations

import numpy as np

from transfusion_cli.data.samples import SPLITS
from transfusion_cli.data.splits import in_several_splits
from transfusion_cli.run_report.run_facts import RunFacts
from transfusion_cli.run_report.section import Section
from transfusion_cli.run_report.seen_data import SeenData

TITLES = {"train": "training", "val": "validation", "test": "test", "predict": "without labels", "": "in no split"}


def samples_by_split(facts: RunFacts) -> dict[str, tuple[int, int]]:
    """Samples and patients (0 where none are known) of each split of the run, ``""`` for what was left out."""
    split = facts.split
    if split is None:
        return {}
    found = {}
    for name in TITLES:
        patients = split.patients[split.split == name]
        found[name] = len(patients), len(np.unique(patients[patients != ""]))
    return found


def crossing_patients(facts: RunFacts) -> int | None:
    """Patients with samples in more than one split; None where none are known."""
    split = facts.split
    if split is None or not facts.patients_known:
        return None
    known = split.patients != ""
    codes = np.unique(split.patients[known], return_inverse=True)[1]
    return len(in_several_splits(codes, split.split[known]))


def source_of(facts: RunFacts) -> str:
    """The data module and what the configuration says of where it looked, by name alone."""
    told = [facts.class_of("data").removesuffix("DataModule")]
    if flag := facts.setting("data.flag"):
        told.append(str(flag))
    for key, what in {"data.table": "table", "data.root": "folder"}.items():
        name = str(facts.setting(key) or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
        told += [f"{what} {name}"] if name else []
    return ", ".join(told)


def why_left_out(facts: RunFacts) -> list[str]:
    """Settings by which samples are left out."""
    names = {"data.train_size": "train_size", "data.train_fraction": "train_fraction", "data.exclude": "exclude"}
    given = {short: facts.setting(key) for key, short in names.items()}
    return [f"{name} {value}" for name, value in given.items() if value is not None and value != 1.0]


def flow_section(facts: RunFacts) -> Section:
    """From the source to the splits, by patients and samples."""
    section = Section("Data flow")
    counts = samples_by_split(facts)
    if not counts:
        section.note("The run's split.csv is missing or not as the run wrote it: who was in which split is not known.")
        return section
    total, patients = sum(n for n, _ in counts.values()), facts.patients_known

    def lines(title: str, images: int, people: int) -> list[str]:
        return [title, f"{images:,} samples", *([f"{people:,} patients"] if patients else [])]

    assert facts.split is not None
    everybody = len(np.unique(facts.split.patients[facts.split.patients != ""]))
    shown = {name: counted for name, counted in counts.items() if name in SPLITS or counted[0]}
    section.flow(
        lines(source_of(facts), total, everybody),
        [lines(TITLES[name], *counted) for name, counted in shown.items()],
    )
    if counts[""][0]:
        why = why_left_out(facts)
        section.say(
            f"{counts[''][0]:,} samples that the table lists are in no split"
            + (f" ({', '.join(why)})." if why else ": options of the data leave them out.")
        )
    crossing = crossing_patients(facts)
    if crossing is None:
        section.note("The data know no patients: samples are disjoint between splits, and patients may not be.")
    else:
        section.say(f"Patients with samples in more than one split: {crossing:,}.")
    section.say(f"SHA-256 of the split: {facts.split.sha256}")
    return section


def demographics_section(facts: RunFacts, seen: SeenData | None, unseen: str) -> Section:
    """Classes, sex, age and the like, split by split."""
    section = Section("Demographics and classes by split")
    if seen is None:
        section.note(f"The data could not be looked at: {unseen}. What is said here of classes is of the test alone.")
        positives = {k: v for k, v in facts.results.items() if k.startswith("test/positives/")}
        section.table(
            ["test", "positives"],
            [[name.removeprefix("test/positives/"), f"{entry['value']:,}"] for name, entry in positives.items()],
        ) if positives else None
        return section
    head, rows = seen.people()
    if rows:
        section.table(head, rows)
    else:
        section.note("The source tells neither sex nor age, view or site.")
    head, classes = seen.classes()
    if classes:
        section.table(head, classes)
    elif seen.masked:
        names = ", ".join(seen.data.class_names)
        section.say(f"Each case has a mask of: {names}. Their shares of voxels: transfusion data check.")
    return section
