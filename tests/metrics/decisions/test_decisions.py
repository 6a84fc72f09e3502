"""What stands in decisions.json is what is read from it, and what cannot be guarded is not read."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from support.decided import classes, fitted_on, labels

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.decisions.decisions import Decisions, logits_of
from transfusion_cli.metrics.decisions.fitted_on import FittedOn
from transfusion_cli.metrics.decisions.fitting import fit_decisions
from transfusion_cli.metrics.decisions.thresholds import ThresholdRule

MADE = {
    "binary": lambda: (labels(), "auto"),
    "multilabel": lambda: (labels(names=("a", "b")), "temperature"),
    "multiclass": lambda: (classes(), "auto"),
    "isotonic": lambda: (labels(1200), "isotonic"),
}


@pytest.fixture(params=MADE)
def made(request):
    evaluation, method = MADE[request.param]()
    return evaluation, fit_decisions(evaluation, fitted_on(), method)


def test_there_and_back(made, tmp_path):
    evaluation, decisions = made
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps(decisions.as_json(), allow_nan=False))
    assert Decisions.read(path) == decisions
    calibrated = decisions.apply(evaluation)
    torch.testing.assert_close(calibrated.probabilities, decisions.calibrated(logits_of(evaluation)), atol=0, rtol=0)
    torch.testing.assert_close(calibrated.scores.sigmoid(), calibrated.probabilities, atol=1e-9, rtol=1e-9)
    if "isotonic" not in {one.method for one in decisions.calibration.values()}:  # which keeps no order among equals
        assert calibrated.metrics["auroc"] == pytest.approx(evaluation.metrics["auroc"], abs=0.02)


def test_affine_is_the_whole_calibration(made):
    evaluation, decisions = made
    found, logits = decisions.affine(), logits_of(evaluation)
    if "isotonic" in {one.method for one in decisions.calibration.values()}:
        assert found is None
        return
    scale, shift = found
    assert scale.shape == shift.shape == (logits.shape[1],) and scale.dtype == torch.float64
    z = scale * logits + shift
    by_hand = z.softmax(dim=1) if decisions.kind == "multiclass" else z.sigmoid()
    torch.testing.assert_close(decisions.calibrated(logits), by_hand, atol=1e-12, rtol=0)
    offset = logits + (5.0 if decisions.kind == "multiclass" else 0.0)
    torch.testing.assert_close(decisions.calibrated(offset), by_hand, atol=1e-12, rtol=0)


def test_logits_come_back_from_what_an_evaluation_keeps():
    given = torch.randn(50, 3, dtype=torch.float64) * 40  # probabilities of 1 to the last bit
    evaluation = classes(50)
    evaluation = type(evaluation).of_logits("multiclass", ["a", "b", "c"], given, evaluation.targets)
    back = logits_of(evaluation)
    torch.testing.assert_close(back - back[:, :1], given - given[:, :1], atol=1e-6, rtol=1e-9)


def test_columns():
    evaluation = labels(names=("a", "b"))
    decisions = fit_decisions(evaluation, fitted_on(), rule=ThresholdRule("sensitivity", 0.9))
    decisions.thresholds.pop("b")
    found = decisions.columns(decisions.apply(evaluation))
    assert list(found) == ["calibrated_a", "calibrated_b", "decision_a"]
    called = found["calibrated_a"] > decisions.thresholds["a"]
    assert (found["decision_a"] == called).all()
    assert called[evaluation.targets[:, 0].numpy() == 1].mean() >= 0.9
    of_classes = fit_decisions(classes(), fitted_on())
    words = of_classes.columns(of_classes.apply(classes()))["decision"]
    assert words.tolist() == [["a", "b", "c"][at] for at in classes().probabilities.argmax(dim=1)]


def test_other_labels_are_refused():
    decisions = fit_decisions(labels(), fitted_on())
    for other in (labels(names=("ill",)), classes()):
        with pytest.raises(UserError, match="transfusion calibrate RUN"):
            decisions.apply(other)


def test_who_was_fitted_on_is_known_by_hashes_alone():
    origin = fitted_on(["v1", "v2"], ["P", "Q"])
    assert "v1" not in json.dumps(origin.as_json()) and '"P"' not in json.dumps(origin.as_json())
    ids, patients = np.array(["t1", "v2", "t3", "t4"]), np.array(["X", "Y", "Q", ""])
    assert origin.shares(ids, None).tolist() == [False, True, False, False]
    assert origin.shares(ids, patients).tolist() == [False, True, True, False]
    assert not fitted_on(["v1"]).shares(ids, patients).any()


def test_decisions_of_before_mirror_images_were_for_plain_predictions():
    content = fitted_on(mirror=True).as_json()
    assert FittedOn.of_json(content).mirror
    del content["mirror"]
    assert FittedOn.of_json(content).mirror is False


def test_damaged_files_are_told(tmp_path):
    path, good = tmp_path / "decisions.json", fit_decisions(labels(), fitted_on()).as_json()

    def broken(*keys, value=None):
        content = copy.deepcopy(good)
        *above, last = keys
        place = content
        for key in above:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
        return json.dumps(content)

    for text in (
        "{",
        "[]",
        broken("format", value=9),
        broken("kind", value="ordinal"),
        broken("fitted_on", "samples"),
        broken("fitted_on", "samples", value=""),  # with nothing to guard by
        broken("fitted_on", "mirror", value="false"),  # which is true as Python takes texts
        broken("thresholds", value={"other": 0.5}),
        broken("calibration", "sick", "method", value="magic"),
        broken("calibration", "sick", "scale", value=-1.0),
        broken("calibration", "sick", "scale", value=math.nan),
        broken("calibration", "sick", value={"method": "isotonic", "knots": [[1, 0.5], [0, 0.6]]}),
        broken("calibration", "sick", value={"method": "isotonic", "knots": []}),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match="cannot be read") as told:
            Decisions.read(path)
        assert len(str(told.value).splitlines()) <= 3, text
    with pytest.raises(UserError, match="cannot be read"):
        Decisions.read(tmp_path / "nothing.json")


def test_some_of_several_labels():
    evaluation = labels(names=("a", "b", "c"))
    whole = fit_decisions(evaluation, fitted_on(), "auto", ThresholdRule.parse("youden"))
    some = whole.of_labels(["c", "a"])
    found, every = (
        made.apply(of).probabilities for made, of in ((some, evaluation.of_labels(["c", "a"])), (whole, evaluation))
    )
    torch.testing.assert_close(found, every[:, [2, 0]], atol=1e-12, rtol=0)
    assert some.thresholds == {name: whole.thresholds[name] for name in ("c", "a")}
    one = fit_decisions(labels(), fitted_on(), "auto")
    assert one.of_labels(["anything"]) is one
