"""The report of one run."""

from __future__ import annotations

from dataclasses import dataclass

import transfusion_cli
from transfusion_cli.run_report.answers import Answers
from transfusion_cli.run_report.checklist import Checklist
from transfusion_cli.run_report.data_sections import (
    demographics_section,
    flow_section,
    samples_by_split,
    source_of,
)
from transfusion_cli.run_report.result_sections import (
    calibration_section,
    errors_section,
    results_section,
    subgroups_section,
    untested,
)
from transfusion_cli.run_report.result_tables import ResultTables, with_interval
from transfusion_cli.run_report.run_facts import RunFacts
from transfusion_cli.run_report.section import Section
from transfusion_cli.run_report.seen_data import SeenData
from transfusion_cli.run_report.training_sections import (
    base_of,
    curves_section,
    epochs_of,
    strategy_of,
    training_section,
)


@dataclass(frozen=True)
class RunReport:
    """What is written down of a run, before it is HTML or Markdown.

    Args:
        title: of the run.
        summary: one paragraph.
        sections: in order.
        checklist: the items of the guidelines.
    """

    title: str
    summary: str
    sections: list[Section]
    checklist: Checklist

    @classmethod
    def of(cls, facts: RunFacts, seen: SeenData | None, unseen: str = "", images: bool = False) -> RunReport:
        """Write down what is known.

        Args:
            facts: of the run's folder.
            seen: its data; None where they cannot be looked at.
            unseen: why not.
            images: whether the worst errors are shown; images of patients then lie in the report.
        """
        checklist = Checklist.of(Answers(facts, seen))
        sections = [
            flow_section(facts),
            demographics_section(facts, seen, unseen),
            training_section(facts),
            curves_section(facts),
            results_section(facts),
            calibration_section(facts),
            subgroups_section(facts),
            errors_section(facts, seen, unseen, images),
            environment_section(facts),
            checklist.section(),
        ]
        return cls(facts.title, summary(facts), sections, checklist)


def summary(facts: RunFacts) -> str:
    """The run in a few sentences."""
    counts, base = samples_by_split(facts), base_of(facts)
    many = f" on {counts['train'][0]:,} samples" if counts else ""
    many += f" of {counts['train'][1]:,} patients" if counts and counts["train"][1] else ""
    start = f" that started from {base.partition(' (SHA')[0]}" if base else ""
    told = [
        f"A {facts.setting('model.backbone') or 'network'}{start} was trained by {strategy_of(facts)}{many} "
        f"of {source_of(facts)}."
    ]
    if facts.audit is not None and facts.audit.phases:
        _, _, count, share = facts.audit.phases[-1]
        when = " in the last phase" if len(facts.audit.phases) > 1 else ""
        told.append(f"{count} of its {facts.audit.total} parameters ({share}) trained{when}.")
    told.append(f"Epochs: {epochs_of(facts)}; the run is {facts.state.state}.")
    headline = ResultTables(facts.results).headline()[:3]
    if headline:
        tested = ResultTables(facts.results).counts.get("samples", 0)
        told.append(
            f"On {tested:,} test samples that it held back: "
            f"{', '.join(with_interval(name, entry) for name, entry in headline)}, with 95 % intervals."
        )
    elif not facts.is_tested:
        told.append(untested(facts))
    return " ".join(told)


def environment_section(facts: RunFacts) -> Section:
    """Command, versions, machine, seed, files."""
    section, told = Section("Environment"), facts.environment
    packages, git = told.get("packages") or {}, told.get("git") or {}
    commit = str(git.get("commit") or "")
    section.facts(
        [
            ("begun", str(told.get("started") or "")),
            ("tested", str((facts.results.get("provenance") or {}).get("written") or "")),
            ("seed", "" if facts.record.seed is None else str(facts.record.seed)),
            ("transfusion", str(told.get("transfusion") or "")),
            ("commit", commit + (", with changes that are not committed" if commit and git.get("dirty") else "")),
            ("Python", str(told.get("python") or "")),
            ("packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)),
            ("system", str(told.get("platform") or "")),
            ("devices", ", ".join(map(str, told.get("devices") or [])) or "no GPU" if told else ""),
            ("weights", f"{facts.weights_file.name}, SHA-256 {facts.weights_sha256}" if facts.weights_sha256 else ""),
            ("report by", f"transfusion {transfusion_cli.__version__}"),
        ]
    )
    for number, command in enumerate(facts.commands):
        section.say("Command:" if not number else "Gone on with by:")
        section.code(command)
    for problem in facts.problems:
        section.note(problem)
    return section
