"""Tables in plain text."""

from transfusion_cli.text import aligned, table


def test_columns_are_as_wide_as_they_need():
    assert aligned([("run", "best"), ("long name", "")]) == ["run        best", "long name"]


def test_numbers_stand_to_the_right():
    assert aligned([("run", "n", ""), ("a", "10", "")], numbers=True) == ["run   n", "a    10"]


def test_a_table_has_a_rule_and_no_empty_columns():
    rows = [("run", "never", "best"), ("a", "", "0.9"), ("b", "", "")]
    assert table(rows) == ["run  best", "---  ----", "a    0.9", "b"]
