import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from transfusion_cli.data.layout.patient_column import advice, find_patient_column, lookalikes
from transfusion_cli.errors import UserError

ROWS = 120
PATH = Path("table.csv")


def table(**columns):
    """Three images of each of 40 patients, in a folder a patient; ``label`` alternates by patient."""
    patient = np.arange(ROWS) // 3
    frame = pd.DataFrame({"image": [f"{p:02d}/{i}.png" for i, p in enumerate(patient)], "label": patient % 2})
    return frame.assign(**columns).astype("str").where(lambda cells: cells != "")


def of_three(values):
    return np.repeat(list(values), 3)


def found(frame, given=None):
    return find_patient_column(frame, given, {"image", "label"}, PATH)


def similar(frame, labels=("label",)):
    return lookalikes(frame, "image", labels, {"image", *labels})


PATIENTS = of_three(f"x{i}" for i in range(40))


NAMES = "patient patient_id PatientID patient-id PATIENT.NO subject Subject_ID MRN participant_id person case_id"


@pytest.mark.parametrize(
    "name", [*NAMES.split(), "Patient ID", "Study ID", "StudyInstanceUID", "exam", "slide", "lesion_id"]
)
def test_names_that_tell_patients(name, caplog):
    with caplog.at_level(logging.INFO):
        assert found(table(**{name: PATIENTS})) == name
    said = f"patients: column {name}, 40 of them; --data.patient_column NAME takes another" in caplog.text
    assert said is (name not in ("patient", "patient_id"))


@pytest.mark.parametrize("name", ["patient_age", "PatientSex", "caseload", "id", "image_id", "case_name_2", "sub"])
def test_other_names_do_not(name):
    assert found(table(**{name: PATIENTS})) is None


def test_the_nearest_to_a_person_goes_first(caplog):
    names = ["lesion_id", "study", "case", "Subject", "PatientID", "patient"]
    while names:
        frame = table(**dict.fromkeys(names, PATIENTS))
        assert found(frame) == found(frame[frame.columns[::-1]]) == names[-1]
        names.pop()
    with caplog.at_level(logging.INFO):
        found(table(study_id=PATIENTS, case=PATIENTS))
    assert "column case (not study_id)" in caplog.text


def test_what_cannot_be_patients_is_not_taken():
    """A label, a split, two cohorts, a number for each image, or nothing at all."""
    frame = table(case=PATIENTS)
    assert find_patient_column(frame, None, {"image", "case"}, PATH) is None
    assert found(table(study=of_three(f"{i % 2}" for i in range(40)))) is None
    assert found(table(case_id=[f"c{i}" for i in range(ROWS)])) is None
    assert found(table(patient=[""] * ROWS)) is None


def test_what_is_asked_for(caplog):
    frame = table(patient=PATIENTS, other=PATIENTS)
    with caplog.at_level(logging.INFO):
        assert found(frame, "other") == "other"
        assert found(frame, "none") is found(frame, "None") is None
        assert found(table(none=PATIENTS), "none") == "none"
    assert not caplog.text
    with pytest.raises(
        UserError, match=r"No column 'pateint'\n.*\nDid you mean patient\? \(--data.patient_column NAME"
    ):
        found(frame, "pateint")


@pytest.mark.parametrize(
    "values",
    [
        PATIENTS,
        of_three(range(4_000_000, 4_000_040)),  # hospital numbers
        of_three(range(1, 41)),  # numbers as few as ages, but one for each folder
        np.repeat([f"x{i}" for i in range(60)], 2),  # examinations
        [*PATIENTS[:-3], "", "", ""],
    ],
)
def test_values_that_recur_as_patients_do(values):
    assert similar(table(code=values)) == ["code"]
    shuffled = table(code=values).sample(frac=1, random_state=1)
    assert similar(shuffled) == ["code"]


def test_many_images_of_each_are_known_by_their_folders():
    scans = np.arange(3000) // 300
    frame = pd.DataFrame({"image": [f"s{s}/{i}.png" for i, s in enumerate(scans)], "label": "x"})
    assert similar(frame.assign(code=[f"c{s}" for s in scans])) == ["code"]


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "values",
    [
        ["same"] * ROWS,
        [f"{i}" for i in range(ROWS)],  # a number for each image
        RANDOM.integers(30, 90, ROWS),  # ages
        of_three(RANDOM.integers(30, 90, 40)),  # ages of patients, in their folders
        RANDOM.normal(0, 1, 40).round(2).repeat(3),  # measurements
        np.repeat(["Siemens", "Philips", "GE", "Canon"], 30),
        ["unknown"] * 60 + [f"remark {i}" for i in range(60)],
        [""] * 60 + list(PATIENTS[:60]),
    ],
)
def test_values_that_do_not(values):
    assert similar(table(code=values)) == []


def test_what_the_label_decides_is_another_label():
    kinds = np.arange(ROWS) % 12
    assert similar(table(label=kinds, kind=[f"class {k}" for k in kinds], code=kinds)) == []


def test_advice_gives_flags_to_type():
    assert "Column my code looks like patients: take it with --data.patient_column 'my code'," in advice(["my code"])
    assert "Columns a, b look like patients: take one with --data.patient_column a," in advice(["a", "b"])
    for columns in ([], ["a"]):
        assert "--data.patient_column none" in advice(columns)
    assert "--data.patient_column NAME" in advice([]) and "--data.patient_pattern REGEX" in advice([])
