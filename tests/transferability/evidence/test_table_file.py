"""Tables of the user's."""

import numpy as np
import pandas as pd
import pytest
from support.evidence import drawn, table

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.evidence.table_file import read_evidence

ROWS = """\
source,target,measure,value
a,x,auc,0.7
a,x,logme,1.5
b,x,auc,0.8
b,x,logme,
c,x,logme,nan
"""


def written(folder, text):
    (folder / "t.csv").write_text(text)
    return folder / "t.csv"


def mistake(path, outcome="auc"):
    with pytest.raises(UserError) as error:
        read_evidence(path, outcome)
    assert len(str(error.value).splitlines()) <= 3 and str(path) in str(error.value)
    return str(error.value)


def test_scores_and_outcomes_apart_and_blank_numbers_left_out(tmp_path):
    found = read_evidence(written(tmp_path, ROWS), "auc")
    assert list(found) == ["source"]
    assert found["source"].outcomes.to_dict("list") == {"source": ["a", "b"], "target": ["x"] * 2, "value": [0.7, 0.8]}
    assert found["source"].scores.to_dict("list") == {
        "source": ["a"],
        "target": ["x"],
        "measure": ["logme"],
        "value": [1.5],
    }


def test_what_is_chosen_is_kept_apart(tmp_path):
    first, second = (table(tmp_path / name, drawn(), choosing=name, s=drawn(1)) for name in ("model", "data"))
    pd.concat([pd.read_csv(first), pd.read_csv(second)]).to_csv(tmp_path / "both.csv", index=False)
    found = read_evidence(tmp_path / "both.csv")
    assert list(found) == ["model", "data"]
    assert all(np.array_equal(one.outcomes["value"], drawn().T.to_numpy().ravel()) for one in found.values())


def test_semicolons_as_spreadsheets_write_them(tmp_path):
    found = read_evidence(written(tmp_path, "\ufeff" + ROWS.replace(",", ";")), "auc")
    assert found["source"].outcomes["value"].tolist() == [0.7, 0.8]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROWS.replace("measure", "mesure"), ("No column 'measure'", "Did you mean mesure?")),
        (ROWS.replace("1.5", "1.5x"), ("Unknown value '1.5x' in column 'value', row 3", "numbers")),
        (ROWS.replace("a,x,logme", "a,,logme"), ("Blank cell in column 'target', row 3",)),
        (ROWS + "a,x,logme,1.6\n", ("A second value of 'a, x, logme'", "row 7", "one value each")),
        (ROWS.replace("logme", "static ranking"), ("Reserved name 'static ranking' in column 'measure', row 3",)),
        (ROWS.replace("auc", "auroc"), ("No outcome 'auc' for choosing 'source'", "Did you mean auroc? (--outcome)")),
        (ROWS.replace("logme,1.5", "logme,"), ("No score beside 'auc'",)),
        ("source,target,measure,value\n", ("holds no numbers",)),
        ("source,target,measure,value\na,x,auc,\n", ("holds no numbers",)),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, text, said):
    message = mistake(written(tmp_path, text))
    assert all(words in message for words in said), message


def test_a_file_that_is_not_there(tmp_path):
    assert "not found" in mistake(tmp_path / "none.csv")
