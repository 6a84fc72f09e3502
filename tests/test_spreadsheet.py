import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.spreadsheet import spreadsheet_frame, spreadsheet_plain, spreadsheet_safe

FORMULAS = ["=HYPERLINK(1)", "+1", "-2+3", "@SUM(1)", "\tx", "\rx", "\n=1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_made_texts(text):
    assert spreadsheet_safe([text]) == ["'" + text]
    assert spreadsheet_plain(["'" + text]) == [text]


def test_what_harms_nobody_stays():
    values = ["", "p001", "a=b", " =1", 5, -5, -0.5, None, np.float64(-1)]
    assert spreadsheet_safe(values) == values
    assert spreadsheet_plain([*values, "'tis", "'"]) == [*values, "'tis", "'"]
    assert np.isnan(spreadsheet_safe([np.nan])[0])


@given(st.lists(st.text("=+-@'\t\r\nab＝", max_size=6) | st.text()))
def test_there_and_back(texts):
    safe = spreadsheet_safe(texts)
    assert spreadsheet_plain(safe) == texts
    assert not any(text.startswith(tuple("=+-@\t\r\n＝＋－＠")) for text in safe)


def test_tables_keep_their_numbers_and_come_back_whole():
    texts = [text for text in FORMULAS if "\r" not in text]  # which Python's CSV writes without quotes
    columns = {"id": [*texts, "'q", "-", "n"], "p_=class": np.linspace(-1, 1, 10), "=label": ["a"] * 9 + [""]}
    frame = pd.DataFrame(columns)
    text = spreadsheet_frame(frame).to_csv(index=False)
    assert text.splitlines()[0] == "id,p_=class,'=label" and ",-1.0,a" in text
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert spreadsheet_plain(header) == list(columns)
    assert spreadsheet_plain(row[0] for row in rows) == columns["id"] and rows[0][1] == "-1.0"
    assert list(frame.columns) == list(columns)  # the given one is left alone
    assert len(spreadsheet_frame(frame[:0])) == 0
