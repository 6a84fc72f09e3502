"""Demographics of a data set that tells sex and age, against counts by hand."""

import numpy as np
import pandas as pd
import pytest
from support.tiny import TinyDataModule

from transfusion_cli.run_report.seen_data import SeenData, share


class Told(TinyDataModule):
    """Two images a patient, and a table of them."""

    def columns_of(self, rows):
        patient = np.asarray(rows) // 2
        sex = np.where(patient % 3 == 0, "F", "M").astype(object)
        sex[patient % 7 == 0] = ""
        ages = [f"{40 + number:03}Y" if number % 5 else None for number in patient]
        return pd.DataFrame({"Patient Sex": sex, "PatientAge": ages, "Other": "x"})


def test_people_count_once():
    seen = SeenData(Told(train=40, other=20))
    head, rows = seen.people()
    assert head == ["", "train", "val", "test"]
    patients = {"train": range(20), "val": range(20, 30), "test": range(30, 40)}

    def counted(rule):
        return [share(sum(map(rule, numbers)), len(numbers)) for numbers in patients.values()]

    told = {row[0]: row[1:] for row in rows[:4]}
    assert told["sex, patients"] == ["", "", ""]
    assert told["  F"] == counted(lambda n: n % 3 == 0 and n % 7 > 0)
    assert told["  M"] == counted(lambda n: n % 3 > 0 and n % 7 > 0)
    assert told["  not known"] == counted(lambda n: n % 7 == 0)
    ages = [[40 + n for n in numbers if n % 5] for numbers in patients.values()]
    low, middle, high = np.quantile(ages[0], [0.25, 0.5, 0.75])
    assert rows[5][:2] == ["  median (quartiles), years", f"{middle:.0f} ({low:.0f} to {high:.0f})"]
    assert rows[6] == ["  not known", *counted(lambda n: n % 5 == 0)]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_classes(kind):
    data = TinyDataModule(kind, train=20, other=10)
    head, rows = SeenData(data).classes()
    assert head == ["images", "train", "val", "test"]
    label = data.label[:20]
    first = int((label != 0).sum()) if kind == "binary" else int((label == 0).sum())
    assert rows[0][1] == share(first, 20)
    assert (rows[-1][0] == "labels unknown") == (kind == "multilabel")
    assert SeenData(data).people()[1] == []


def test_shares():
    assert share(388, 3882) == "388 (10.0 %)" and share(0, 0) == "0"
