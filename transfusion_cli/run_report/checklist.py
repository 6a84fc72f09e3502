"""What reporting guidelines ask, as far as a run can answer."""

from __future__ import annotations

from dataclasses import dataclass

from transfusion_cli.run_report.answers import Answers
from transfusion_cli.run_report.section import Section

CLAIM, TRIPOD, BOTH = "CLAIM", "TRIPOD+AI", "both"

SOURCES = (
    (
        "CLAIM 2024: Tejani et al., Radiology: Artificial Intelligence 2024, doi 10.1148/ryai.240300",
        "https://doi.org/10.1148/ryai.240300",
    ),
    (
        "TRIPOD+AI: Collins et al., BMJ 2024, doi 10.1136/bmj-2023-078378",
        "https://doi.org/10.1136/bmj-2023-078378",
    ),
)

TOPICS = (
    ("data_source", "Data", "Where the data come from", BOTH),
    ("outcome", "Data", "What is predicted, and its classes", BOTH),
    ("used", "Data", "Which samples were used and which left out", BOTH),
    ("sizes", "Data", "How many samples, patients and events", BOTH),
    ("missing", "Data", "Missing labels and unreadable data", BOTH),
    ("preprocessing", "Data", "Preprocessing of images", BOTH),
    ("partition", "Data", "How the data were divided", BOTH),
    ("disjoint", "Data", "At which level the parts are disjoint", BOTH),
    ("flow", "Data", "Flow of participants", BOTH),
    ("demographics", "Data", "Characteristics of each part", BOTH),
    ("architecture", "Model", "Architecture, inputs and outputs", BOTH),
    ("software", "Model", "Software and versions", BOTH),
    ("initialization", "Model", "What the parameters started from", CLAIM),
    ("adapted", "Model", "What of an existing model was updated, and how", TRIPOD),
    ("training", "Model", "Training procedure and hyper-parameters", BOTH),
    ("augmentation", "Model", "Augmentation", CLAIM),
    ("imbalance", "Model", "What was done about class imbalance", TRIPOD),
    ("selection", "Model", "How the final model was chosen", BOTH),
    ("ensemble", "Model", "Whether models were combined", CLAIM),
    ("hardware", "Model", "Computing environment", CLAIM),
    ("metrics", "Evaluation", "Measures of performance", BOTH),
    ("uncertainty", "Evaluation", "How uncertainty was quantified", BOTH),
    ("clusters", "Evaluation", "Several samples of one patient", TRIPOD),
    ("internal_test", "Evaluation", "Test on data held back", BOTH),
    ("external_test", "Evaluation", "Test on data from elsewhere", BOTH),
    ("threshold", "Evaluation", "What is given out, and where decisions are made", BOTH),
    ("performance", "Results", "Performance with intervals", BOTH),
    ("validation", "Results", "Performance on the other parts", CLAIM),
    ("calibration", "Results", "Calibration", TRIPOD),
    ("subgroups", "Results", "Fairness: performance by group", BOTH),
    ("failures", "Results", "Analysis of failures", CLAIM),
    ("full_model", "Availability", "The whole model, for others to use", BOTH),
    ("code", "Availability", "Code", BOTH),
    ("reproduction", "Availability", "How to repeat the run", BOTH),
)
"""Method of ``Answers``, part, topic in our own words, and who asks."""

FOR_AUTHOR = (
    ("Title and abstract that name the method and the population", BOTH),
    ("Clinical background, intended use and users, place in care", BOTH),
    ("Objectives and hypotheses; development, evaluation or both", BOTH),
    ("Known inequalities between groups of patients", TRIPOD),
    ("Prospective or retrospective; kind of study", BOTH),
    ("Setting, centres and dates of collection", BOTH),
    ("Eligibility, and how participants were found", BOTH),
    ("Treatments received, where they matter", TRIPOD),
    ("Devices and protocols of acquisition", CLAIM),
    ("De-identification", CLAIM),
    ("Reference standard: its definition, and why it was chosen", BOTH),
    ("Who labelled, with what training and tools; blinding; agreement between and within readers", BOTH),
    ("Why the sample size is enough", BOTH),
    ("How hyper-parameters were searched, over all runs", BOTH),
    ("Robustness to other conditions (transfusion analyze --what robustness)", CLAIM),
    ("Explanation of predictions, and how it was validated", CLAIM),
    ("Differences between the data of development and of evaluation", TRIPOD),
    ("Ethics approval and consent", BOTH),
    ("Registration and protocol", BOTH),
    ("Involvement of patients and the public", TRIPOD),
    ("Interpretation, limitations and biases, generalisability", BOTH),
    ("Use in practice: poor or missing input, expertise of users, next steps", BOTH),
    ("Sharing of the data", BOTH),
    ("Funding and conflicts of interest", BOTH),
)
"""What no run can know."""


@dataclass(frozen=True)
class Checklist:
    """The items, filled as far as the run goes.

    Args:
        filled: part, topic, who asks, answer.
        empty: topic, who asks, and what would fill it, of those that this run might have answered and does not.
    """

    filled: list[tuple[str, str, str, str]]
    empty: list[tuple[str, str, str]]

    @classmethod
    def of(cls, answers: Answers) -> Checklist:
        """Ask each question."""
        filled, empty = [], []
        for name, part, topic, asked_by in TOPICS:
            if answer := getattr(answers, name)():
                filled.append((part, topic, asked_by, answer))
            else:
                empty.append((topic, asked_by, answers.advice(name)))
        return cls(filled, empty)

    def section(self) -> Section:
        """The items as tables."""
        section = Section("Checklist: CLAIM 2024 and TRIPOD+AI")
        section.say(
            f"{len(self.filled)} topics of the two guidelines are answered by this run's own files; "
            f"{len(self.empty) + len(FOR_AUTHOR)} are left for the author. Topics are named in our own words and "
            "carry no numbers: take the guidelines themselves for what is asked exactly."
        )
        section.links(SOURCES)
        section.head("Answered by the run")
        section.table(["part", "topic", "asked by", "answer"], [list(row) for row in self.filled], numbers=False)
        section.head("For the author")
        rows = [[topic, asked_by, advice] for topic, asked_by, advice in self.empty]
        rows += [[topic, asked_by, ""] for topic, asked_by in FOR_AUTHOR]
        section.table(["topic", "asked by", "what would tell"], rows, numbers=False)
        return section
