"""One look at every candidate, and the scores of what it showed."""

import math

import numpy as np
import pytest
import torch
from support.networks import randomised, source_file
from support.tiny import TinyDataModule

from transfusion_cli.data.feature_store import FeatureStore
from transfusion_cli.errors import Fault
from transfusion_cli.transferability import scoring as scoring_module
from transfusion_cli.transferability import survey as survey_module
from transfusion_cli.transferability.ac_corr import Training
from transfusion_cli.transferability.book import Book
from transfusion_cli.transferability.candidates import read_candidates
from transfusion_cli.transferability.images import Images
from transfusion_cli.transferability.ranking import rank
from transfusion_cli.transferability.scores.base import Score, scores
from transfusion_cli.transferability.scores.labels import View
from transfusion_cli.transferability.source import Source
from transfusion_cli.transferability.survey import survey
from transfusion_cli.transferability.table import told

MODEL = {"backbone": "cifar_resnet20", "class_names": ["no", "yes"], "target": "binary", "dims": 2}


@pytest.fixture
def data():
    return TinyDataModule(train=24, other=8)


@pytest.fixture
def images(data, tmp_path):
    return Images(data, "train", 100, 0, tmp_path / "kept")


@pytest.fixture
def candidates(tmp_path):
    return read_candidates(
        [f"cifar_resnet20={source_file(tmp_path)}", "cifar_resnet20=random:1", "cifar_resnet32=random:1"]
    )


def look(candidates, images, training=None):
    return survey(candidates, MODEL, images, FeatureStore(images.folder), "cpu", training)


def passes(monkeypatch):
    """Counts the batches that networks see from now on."""
    seen = []
    own = Source.__call__
    monkeypatch.setattr(Source, "__call__", lambda source, batch: (seen.append(len(batch)), own(source, batch))[1])
    return seen


def test_features_are_those_of_the_network(candidates, images, tmp_path):
    first, *_ = look(candidates, images).seen
    source = Source.load(candidates[0], MODEL)
    expected = source(torch.from_numpy(images.data.images[:24])[:, None])
    np.testing.assert_allclose(first.rows["features"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(first.rows["source"], source.chances(expected), rtol=1e-4, atol=1e-4)
    assert (first.width, first.classes, first.size, first.drawn) == (64, 10, (16, 16), False)


def test_what_was_computed_is_not_computed_again(candidates, images, monkeypatch):
    seen = passes(monkeypatch)
    first = look(candidates, images, Training())
    assert sum(seen) == 3 * 24
    trained, own = [], survey_module.ac_corr
    monkeypatch.setattr(survey_module, "ac_corr", lambda source, *rest: (trained.append(source), own(source, *rest))[1])
    again = look(candidates, images, Training())
    assert sum(seen) == 3 * 24
    assert not any(source.carried for source in trained)
    assert [one.seconds for one in again.seen] == [one.seconds for one in first.seen] and first.seen[0].seconds > 0
    assert again.seen[0].correlation == first.seen[0].correlation is not None
    assert again.seen[1].correlation is None and "drawn" in again.seen[1].why


def test_cut_off_it_goes_on_where_it_was(candidates, images, monkeypatch):
    seen = passes(monkeypatch)
    counted = Source.__call__

    def cut(source, batch):
        if len(seen) == 4:  # the second candidate's second batch
            raise KeyboardInterrupt
        return counted(source, batch)

    monkeypatch.setattr(Source, "__call__", cut)
    with pytest.raises(KeyboardInterrupt):
        look(candidates, images)
    monkeypatch.setattr(Source, "__call__", counted)
    assert sum(seen) == 24 + 8
    assert len(look(candidates, images).seen) == 3
    assert sum(seen) == (24 + 8) + 2 * 24
    assert not [path for path in images.folder.iterdir() if "partial" in path.name]


def test_those_that_fail_are_listed_and_the_rest_go_on(candidates, images, tmp_path):
    state = randomised().state_dict()
    torch.save({**state, "layer3.2.conv2.weight": state["layer3.2.conv2.weight"] * 1e38}, tmp_path / "huge.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    words = [f"cifar_resnet20={tmp_path / name}" for name in ("huge.pth", "broken.pth")]
    some = read_candidates([words[0], "inception_v3=random:0", words[1], "cifar_resnet20=random:1"])
    found = look(some, images)
    assert [one.candidate.name for one in found.seen] == ["cifar_resnet20=random:1"]
    assert "NaN or infinity" in found.failed["cifar_resnet20=huge.pth"]
    assert "cannot be read" in found.failed["cifar_resnet20=broken.pth"]
    assert "inception_v3=random:0" in found.failed


def test_what_ac_corr_runs_into_costs_no_other_score(candidates, images, monkeypatch):
    monkeypatch.setattr(survey_module, "ac_corr", lambda *_: 1 / 0)
    found = look(candidates, images, Training())
    assert len(found.seen) == 3 and not found.failed
    assert found.seen[0].why == "ZeroDivisionError: division by zero"


def test_a_full_disk_is_no_fault_of_a_candidate(candidates, images, monkeypatch):
    def full(*_):
        raise Fault("no room", "free some")

    monkeypatch.setattr(FeatureStore, "put", full)
    with pytest.raises(Fault, match="no room"):
        look(candidates, images)


def test_scores_are_those_of_the_features(candidates, images):
    found = look(candidates, images)
    known = {name: scores()[name] for name in ("logme", "leep", "ncti", "knn")}
    ranking = rank(found, list(known), scores(), images, "Tiny", 5, 0)
    for name in ("logme", "knn"):
        for one in found.seen:
            view = View(
                "binary", ["no", "yes"], images.targets, torch.tensor(one.rows["features"]), groups=images.groups
            )
            assert ranking.row(one.candidate.name, name)["value"] == pytest.approx(view.terms(known[name])[0], rel=1e-9)
    leep = ranking.scores[ranking.scores["measure"] == "leep"].set_index("source")
    assert leep["why"].tolist() == ["", *["its source has no classifier"] * 2]
    assert leep["value"].isna().tolist() == [False, True, True]
    assert ranking.order[0] == ranking.values["logme"].idxmax() == ranking.winner
    assert ranking.facts["drawn"].tolist() == [False, True, True]
    assert ranking.kendall.loc["logme", "logme"] == 1
    assert (ranking.scores.query("measure == 'knn'")["low"] < ranking.scores.query("measure == 'knn'")["high"]).all()
    assert ranking.scores.query("measure == 'logme'")["first"].sum() == pytest.approx(1)
    text = told(ranking)
    assert "24 images of 12 patients (train)" in text
    assert "No LEEP of cifar_resnet20=random:1, cifar_resnet32=random:1: its source has no classifier." in text


def test_scores_are_worked_out_once(candidates, images, monkeypatch):
    calls = []

    class Counted(Score):
        name, title = "counted", "Counted"

        def __call__(self, sample):
            calls.append(len(sample.labels))
            return float(len(calls))

    found = look(candidates, images)
    first = rank(found, ["counted"], {"counted": Counted()}, images, "Tiny", 2, 0)
    assert calls == [24, 12, 12] * 3
    again = rank(look(candidates, images), ["counted"], {"counted": Counted()}, images, "Tiny", 2, 0)
    assert len(calls) == 9 and again.scores.equals(first.scores)
    rank(look(candidates, images), ["counted"], {"counted": Counted()}, images, "Tiny", 2, 1)
    assert len(calls) == 18, "another seed, other halves"
    monkeypatch.setattr(scoring_module, "sources_of_scores", lambda: "another version")
    rank(look(candidates, images), ["counted"], {"counted": Counted()}, images, "Tiny", 2, 0)
    assert len(calls) == 27


def test_lower_may_be_better(candidates, images):
    class Width(Score):
        name, title, higher_is_better = "width", "Width", False

        def __call__(self, sample):
            return float(sample.features.std())

    found = look(candidates, images)
    ranking = rank(found, ["width"], {"width": Width()}, images, "Tiny", 0, 0)
    values = [ranking.row(name, "width")["value"] for name in ranking.order]
    assert values == sorted(values)
    assert all(math.isnan(ranking.row(name, "width")["low"]) for name in ranking.order)
    assert "no intervals" in told(ranking)


def test_a_book_outlives_damage(tmp_path):
    book = Book(tmp_path / "a.json")
    book.put("one", {"value": 1.0})
    assert Book(tmp_path / "a.json").get("one") == {"value": 1.0}
    (tmp_path / "a.json").write_text("{")
    assert Book(tmp_path / "a.json").get("one") is None
