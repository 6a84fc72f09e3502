"""What scores were worth, and what outcomes call the candidates."""

import pandas as pd
import pytest

from transfusion_cli.errors import UserError
from transfusion_cli.transferability.ranking import Ranking
from transfusion_cli.transferability.static import named_alike, read_static
from transfusion_cli.transferability.worth import target_of, worth

NAMES = ["resnet18.a1_in1k", "resnet34=mine.pth", "resnet34=random:1", "resnet34=random:2"]


def ranking(values, target="chest"):
    rows = []
    for place, name in enumerate(NAMES):
        for measure, value in (("logme", values[place]), ("parameters", [11.0, 21, 21, 21][place])):
            rows.append({"source": name, "target": target, "measure": measure, "value": float(value), "why": ""})
    facts = pd.DataFrame({"source": NAMES}).set_index("source")
    titles = {"logme": "LogME", "parameters": "Parameters"}
    return Ranking("logme", titles, pd.DataFrame(rows), dict.fromkeys(titles, True), facts, {}, "", 0)


def outcomes(targets=("chest",)):
    rows = [(name, target, 0.9 - 0.1 * place) for target in targets for place, name in enumerate(NAMES)]
    return pd.DataFrame(rows, columns=["source", "target", "value"])


def test_sources_mean_candidates():
    frame = pd.DataFrame({"source": ["resnet18", "resnet34=/some/where/mine.pth", "resnet34=random", "other"]})
    found = named_alike(frame.assign(value=[1, 2, 3, 4]), NAMES)
    expected = [("resnet18.a1_in1k", 1), ("resnet34=mine.pth", 2), ("resnet34=random:1", 3), ("resnet34=random:2", 3)]
    assert list(found.itertuples(index=False, name=None)) == [*expected, ("other", 4)]
    assert named_alike(pd.DataFrame({"source": ["resnet18.tv_in1k", "resnet34"]}), NAMES)["source"].tolist() == [
        "resnet18.tv_in1k",
        "resnet34",
    ]


def test_of_one_target_the_ground_is_the_number_of_parameters(tmp_path):
    text = worth(ranking([4, 3, 2, 1]), outcomes(), None, "auroc", tmp_path)
    (line,) = [line for line in text.splitlines() if line.startswith("LogME  ")]
    assert line.split()[1] == "1.000"
    assert "larger networks first" in text and "Parameters" not in text
    assert "LogME is not shown to beat the static ranking" in text
    assert {path.name for path in tmp_path.iterdir()} >= {"agreement.csv", "agreement.png", "agreement.json"}


def test_beside_a_ranking_of_the_user_s_own():
    static = pd.DataFrame({"source": ["resnet18", *NAMES[1:]], "value": [4.0, 3, 2, 1]})
    text = worth(ranking([1, 2, 3, 4]), outcomes(("chest", "skin")), static, "auroc")
    values = {line.split("  ")[0]: line.split()[-7:] for line in text.splitlines() if "  " in line}
    assert "static ranking" in values and "Parameters" in values
    (line,) = [line for line in text.splitlines() if line.startswith("static ranking  ")]
    assert line.split()[2] == "1.000"
    assert "skin" not in text and "larger networks first" not in text


def test_outcomes_elsewhere_are_the_ground_where_there_are_any():
    text = worth(ranking([4, 3, 2, 1]), outcomes(("chest", "skin", "eye")), None, "auroc")
    (line,) = [line for line in text.splitlines() if line.startswith("static ranking  ")]
    assert line.split()[2] == "1.000"


def test_a_static_table(tmp_path):
    (tmp_path / "a.csv").write_text("source,target,value\na,x,1\na,y,2\nb,x,0.5\n")
    assert read_static(tmp_path / "a.csv").to_dict("list") == {"source": ["a", "b"], "value": [1.5, 0.5]}
    (tmp_path / "b.csv").write_text("source,value\na,high\n")
    with pytest.raises(UserError, match="high"):
        read_static(tmp_path / "b.csv")


def test_which_target():
    assert target_of(None, "Phantom", None) == "Phantom"
    assert target_of("mine", "Phantom", None) == "mine"
    assert target_of(None, "Phantom", outcomes()) == "chest"
    assert target_of(None, "chest", outcomes(("chest", "skin"))) == "chest"
    with pytest.raises(UserError, match="chest, skin\nName it by --target"):
        target_of(None, "Phantom", outcomes(("chest", "skin")))
