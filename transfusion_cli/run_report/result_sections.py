"""What the test found."""

from __future__ import annotations

from transfusion_cli.comparison.tested import Tested
from transfusion_cli.metrics.classification import ClassificationEvaluation
from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.metrics.evaluation import Evaluation
from transfusion_cli.reports.decision_figures import decision_curve_figure, reliability_figure
from transfusion_cli.reports.figures import evaluation_figures
from transfusion_cli.run_report.decided import about, rows
from transfusion_cli.run_report.pictures import png_of
from transfusion_cli.run_report.result_tables import ResultTables
from transfusion_cli.run_report.run_facts import RunFacts
from transfusion_cli.run_report.section import Section
from transfusion_cli.run_report.seen_data import SeenData, share
from transfusion_cli.run_report.worst_errors import WorstError

ALT = {
    "ROC": "ROC curve of each label, with its area",
    "precision-recall": "Precision-recall curve of each label, with its average precision",
    "confusion": "Confusion matrix",
    "dice": "Dice of each case by class",
    "pixels": "ROC and precision-recall curve of the pixels",
}


def untested(facts: RunFacts) -> str:
    """What to say, and to type, where there is no test."""
    return f"This run is not tested yet. To test it: transfusion test {facts.typed}"


def results_section(facts: RunFacts) -> Section:
    """Metrics with intervals, and curves."""
    section, tables = Section("Results"), ResultTables(facts.results)
    if not facts.is_tested:
        section.note(untested(facts))
        _others(section, facts)
        return section
    counts = tables.counts
    unit = f"{counts['patients']:,} patients" if counts.get("patients") else "samples (no patients known)"
    section.say(f"Test split of {counts.get('samples', 0):,} samples; 95 % intervals over {unit}.")
    section.table(*tables.main())
    if (empty := tables.empty()) is not None:
        section.say("Structures missed, absent, and seen where there are none:")
        section.table(*empty)
    notes = facts.results.get("notes")
    section.bullets([f"{name}: {text}" for name, text in notes.items()] if isinstance(notes, dict) else [])
    _figures(section, facts)
    _others(section, facts)
    return section


def _figures(section: Section, facts: RunFacts) -> None:
    if not isinstance(facts.tested, Tested):
        section.note(f"There are no curves: this run {facts.tested.partition(': transfusion')[0]}.")
        return
    evaluation = facts.tested.evaluation
    figures = evaluation_figures(evaluation)
    section.pictures(*((png_of(figure), ALT.get(name, name)) for name, figure in figures.items()))
    if not isinstance(evaluation, ClassificationEvaluation):
        section.note("A run that marks parts of images has no ROC curve of cases; its metrics are of each case.")


def _others(section: Section, facts: RunFacts) -> None:
    for name, results in facts.of_others.items():
        origin = results.get("provenance") or {}
        own = origin.get("own_split")
        section.head(f"Test with mirror images ({name})" if own else f"Test on other samples ({name})")
        known = "not those that the run held back" if own is False else "of which it is not known who was trained on"
        known = (
            "that the run held back, each with its mirror image, which the run was not configured for" if own else known
        )
        section.say(f"{origin.get('data', 'Data')}, {origin.get('split', 'test')} split: samples {known}.")
        section.table(*ResultTables(results).main())


def calibration_section(facts: RunFacts) -> Section:
    """How far probabilities are to be believed, and where decisions are made."""
    section, tables = Section("Calibration and thresholds"), ResultTables(facts.results)
    measured, decisions = tables.calibration(), tables.decisions()
    if facts.masked:
        section.note("This run marks parts of images: probabilities of voxels are not calibrated here.")
        return section
    if facts.decided is None:
        section.note(
            "Nothing was calibrated: probabilities are the network's own, and a label is called at 0.5. "
            f"To calibrate, and to choose thresholds: transfusion calibrate {facts.typed}"
        )
    else:
        section.say(about(facts.decided))
        section.table(["label", "calibration", "threshold"], rows(facts.decided), numbers=False)
    if measured is not None:
        section.say("On the test split:")
        section.table(*measured)
    if decisions is not None:
        section.table(*decisions)
    if measured is not None and facts.decided is not None and isinstance(facts.tested, Tested):
        _decision_figures(section, facts.decided, facts.tested.evaluation)
    return section


def _decision_figures(section: Section, made: Decisions, evaluation: Evaluation) -> None:
    if isinstance(evaluation, ClassificationEvaluation) and tuple(evaluation.questions.names) == made.labels:
        calibrated = made.apply(evaluation)
        section.pictures(
            (png_of(reliability_figure(evaluation, calibrated)), "Reliability before and after calibration"),
            (png_of(decision_curve_figure(evaluation, calibrated, made)), "Net benefit of decisions by threshold"),
        )


def subgroups_section(facts: RunFacts) -> Section:
    """Domains, examinations and groups of patients."""
    section, parts = Section("Subgroups"), ResultTables(facts.results).parts()
    if not parts:
        section.note("The test was not told apart by groups, domains or examinations.")
        return section
    for _, table in parts:
        section.table(*table)
    told = facts.results.get("subgroups")
    if isinstance(told, dict):
        left_out, not_known = told.get("left_out") or {}, told.get("not_known") or {}
        section.say(f"A gap is a group minus {told.get('against', 'the rest')}.")
        section.bullets([f"{name} is left out: {why}" for name, why in left_out.items()])
        section.bullets([f"{name} is not known of {many:,} samples" for name, many in not_known.items()])
    return section


def errors_section(facts: RunFacts, seen: SeenData | None, unseen: str, images: bool) -> Section:
    """The worst errors by class, as thumbnails if asked for."""
    section = Section("Worst errors")
    if not isinstance(facts.tested, Tested) or facts.record.predictions is None:
        section.note("There are no predictions of a test to look for errors in.")
        return section
    errors, counts = WorstError.of(facts.tested.evaluation, facts.record.predictions)
    if counts:
        many = [[group, share(wrong, of), f"{of:,}"] for group, (wrong, of) in counts.items()]
        section.table(["error", "cases", "of"], many)
    how = "of each kind in turn, by the run's thresholds where it has them, else at 0.5 or by the most probable class"
    how = "the least Dice, of each class in turn" if facts.masked else how
    section.say(f"The worst {len(errors)}, {how}. Lines are those of the run's {facts.record.predictions.name}.")
    pictures: list[bytes | None] = [None] * len(errors)
    if not images:
        section.note("Their images are left out, as a report travels: transfusion report RUN --images embeds them.")
    elif seen is None:
        section.note(f"Their images cannot be shown: {unseen}.")
    else:
        pictures = seen.thumbnails([error.id for error in errors])
    shown = [
        (png, [error.group, error.said, f"line {error.line:,}"])
        for png, error in zip(pictures, errors, strict=True)
        if png
    ]
    if shown:
        section.sheet(shown)
        if len(shown) < len(errors):
            section.note(f"{len(errors) - len(shown)} of these images could not be read.")
    else:
        cells = [[error.group, error.said, f"{error.line:,}"] for error in errors]
        section.table(["error", "what was said", "line"], cells, numbers=False)
    return section
