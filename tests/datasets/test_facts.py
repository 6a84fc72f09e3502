"""Data sets know the columns of their tables, whatever the order of rows and whichever rows are used."""

import csv

import numpy as np
import pandas as pd
import pytest
from support.chexpert import build_chexpert
from support.images import save_picture
from support.layouts import ham10000, isic2018, isic2019, isic2020, nih_chest_xray14, rsna_pneumonia
from support.tiny import TinyDataModule

from transfusion_cli.datasets import (
    CheXpertDataModule,
    HAM10000DataModule,
    ImageTableDataModule,
    ISIC2018DataModule,
    ISIC2019DataModule,
    ISIC2020DataModule,
    NIHChestXRay14DataModule,
    RSNAPneumoniaDataModule,
)
from transfusion_cli.errors import UserError


def groups(data):
    return {group.name: group.member for group in data.groups_of(np.arange(len(data.samples)))}


def test_chexpert(tmp_path):
    build_chexpert(tmp_path, patients=20)
    data = CheXpertDataModule(root=str(tmp_path), views="all", subgroups=["sex", "age<40", "Frontal/Lateral", "view"])
    found = groups(data)
    rows = [row for part in ("train", "valid") for row in csv.DictReader((tmp_path / f"{part}.csv").open())]
    by_id = {row["Path"].removeprefix("CheXpert-v1.0-small/"): row for row in rows}
    own = [by_id[name] for name in data.samples.ids.tolist()]
    assert found["sex=Male"].tolist() == [row["Sex"] == "Male" for row in own]
    assert found["age<40"].tolist() == [int(row["Age"]) < 40 for row in own]
    assert found["view=PA"].tolist() == [row["AP/PA"] == "PA" for row in own]
    assert found["Frontal/Lateral=Lateral"].tolist() == [row["Frontal/Lateral"] == "Lateral" for row in own]


def test_nih(tmp_path):
    nih_chest_xray14.build(tmp_path)
    found = groups(
        NIHChestXRay14DataModule(root=str(tmp_path), subgroups=["age>=65", "view", "sex"], view_position="PA")
    )
    assert list(found) == ["age>=65", "age<65", "view=PA", "sex=F"]
    assert found["age>=65"].sum() == 1 and found["view=PA"].all()  # the patient of 411 years


def test_rsna_from_the_headers(tmp_path):
    rsna_pneumonia.build(tmp_path, images=12)
    data = RSNAPneumoniaDataModule(root=str(tmp_path), subgroups=["view"])
    assert groups(data)["view=AP"].all()


@pytest.mark.parametrize(
    ("layout", "kind", "expected"),
    [
        (ham10000, HAM10000DataModule, ["sex=male", "site=scalp"]),
        (isic2019, ISIC2019DataModule, ["sex=female", "site=anterior torso"]),
        (isic2020, ISIC2020DataModule, ["sex=male", "site=torso"]),
    ],
)
def test_skin(tmp_path, layout, kind, expected):
    data = kind(root=str(layout.build(tmp_path)), subgroups=["sex", "site"])
    assert list(groups(data)) == expected
    labelled = data.samples.split != "predict"
    assert all(member[labelled].all() for member in groups(data).values())


def test_skin_without_such_a_column_says_what_there_is(tmp_path):
    data = ISIC2018DataModule(root=str(isic2018.build(tmp_path)), subgroups=["sex"])
    with pytest.raises(UserError, match="no column 'sex' in ISIC2018"):
        groups(data)


def test_own_table_and_none(tmp_path):
    rows = []
    for number in range(12):
        save_picture(tmp_path / f"{number}.png", number, (8, 8))
        rows.append(
            {"image": f"{number}.png", "label": number % 2, "patient": number // 2, "ward": "ab"[number % 3 == 0]}
        )
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "table.csv", index=False)
    data = ImageTableDataModule(root=str(tmp_path), table="table.csv", subgroups=["ward"])
    wards = {row["image"]: row["ward"] for row in rows}
    assert groups(data)["ward=b"].tolist() == [wards[name] == "b" for name in data.samples.ids.tolist()]
    with pytest.raises(UserError, match=r"no column 'wrad' in ImageTable\nDid you mean ward\?"):
        ImageTableDataModule(root=str(tmp_path), table="table.csv", subgroups=["wrad"]).setup("fit")
    with pytest.raises(UserError, match="tells nothing of its images"):
        TinyDataModule("binary", subgroups=["sex"]).setup("fit")
