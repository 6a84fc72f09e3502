"""Groups by columns of a table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.data.subgroups import find_column, number, subgroups
from transfusion_cli.errors import UserError

FACTS = pd.DataFrame(
    {
        "Patient Gender": ["F", "M", "F", np.nan],
        "Patient Age": ["058Y", "40", "012M", "no idea"],
        "View Position": ["PA", "AP", "PA", "PA"],
    }
)


def made(*asked):
    return {group.name: group for group in subgroups(asked, FACTS, "the table")}


def test_a_group_for_each_value_and_none_for_blanks():
    groups = made("sex")
    assert list(groups) == ["sex=F", "sex=M"]
    assert groups["sex=F"].member.tolist() == [True, False, True, False]
    assert groups["sex=F"].others.tolist() == [False, True, False, False]
    assert groups["sex=F"].column == "Patient Gender"


@pytest.mark.parametrize(
    ("asked", "names", "members"),
    [
        ("age<40", ["age<40", "age>=40"], [[2], [0, 1]]),
        ("age <= 40", ["age<=40", "age>40"], [[1, 2], [0]]),
        ("age>=58", ["age>=58", "age<58"], [[0], [1, 2]]),
        ("age>40", ["age>40", "age<=40"], [[0], [1, 2]]),
        ("age:40-57", ["age<40", "age:40-57", "age>57"], [[2], [1], [0]]),
    ],
)
def test_bounds_split_numbers_and_ages_as_dicom_writes_them(asked, names, members):
    groups = made(asked)
    assert list(groups) == names
    assert [np.flatnonzero(group.member).tolist() for group in groups.values()] == members
    assert not any(group.member[3] or group.others[3] for group in groups.values())


def test_one_group_is_told_once():
    assert list(made("age<40", "age:40-57")) == ["age<40", "age>=40", "age:40-57", "age>57"]


@given(st.lists(st.integers(0, 99), min_size=1), st.integers(0, 99), st.integers(0, 99))
def test_groups_of_an_asking_part_the_samples(ages, one, two):
    facts = pd.DataFrame({"age": [str(age) for age in ages]})
    for asked in (f"age<{one}", f"age>{one}", f"age:{min(one, two)}-{max(one, two)}"):
        groups = subgroups([asked], facts, "the table")
        assert (np.sum([group.member for group in groups], axis=0) == 1).all()
        assert all((group.others == ~group.member).all() for group in groups)


@pytest.mark.parametrize(("text", "years"), [("058Y", 58), ("011M", 11 / 12), ("7", 7), ("60.5", 60.5), ("000D", 0)])
def test_ages(text, years):
    assert number(text) == pytest.approx(years)
    assert np.isnan(number("") + number("Y") + number("forty"))


def test_columns_by_any_spelling_by_alias_and_the_exact_first():
    assert find_column("patient_gender", list(FACTS), "") == "Patient Gender"
    assert find_column("view", ["Path", "AP/PA", "Frontal/Lateral"], "") == "AP/PA"
    assert find_column("Frontal/Lateral", ["AP/PA", "Frontal/Lateral"], "") == "Frontal/Lateral"
    assert find_column("site", ["sex", "anatom_site_general"], "") == "anatom_site_general"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("sxe", "no column 'sxe' in the table\nDid you mean sex?"),
        ("Pateint Age<40", "Did you mean Patient Age?"),
        ("view<40", "holds no numbers, but 'PA' and the like\nA group for each value: view"),
        ("age:60-40", "ends before it begins\nTry age:40-60"),
    ],
)
def test_mistakes_say_what_is_meant(asked, told):
    with pytest.raises(UserError) as error:
        made(asked)
    assert told in str(error.value)


def test_too_many_values_and_no_table():
    facts = pd.DataFrame({"age": [str(age) for age in range(30)]})
    with pytest.raises(UserError, match="age has 30 values in it\nGive a bound, such as age<40"):
        subgroups(["age"], facts, "it")
    with pytest.raises(UserError, match="tells nothing of its images"):
        subgroups(["age"], None, "it")
