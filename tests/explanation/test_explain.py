"""Cases with their maps: what is explained, what it is compared with, and that nothing is left behind."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from support.adapted import adapted_task
from support.runs import make_task

from transfusion_cli.errors import UserError
from transfusion_cli.explanation import explain as module
from transfusion_cli.explanation.case import Case, Explained
from transfusion_cli.explanation.explain import DRAWS, explain, mean_of_defined, rank_correlation
from transfusion_cli.explanation.grad_cam import GradCAM
from transfusion_cli.explanation.label_scores import LabelScores
from transfusion_cli.explanation.pictures import case_figure, overlay, sheet
from transfusion_cli.explanation.redrawn import LEVELS, Redrawn
from transfusion_cli.explanation.summary import summary_of, table_of, warning_of
from transfusion_cli.metrics.probabilities import probabilities
from transfusion_cli.strategies.ac_norm import ACNorm
from transfusion_cli.strategies.head_only import HeadOnly
from transfusion_cli.strategies.lora import LoRA


def cases(number=3, target=None, **kwargs):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (number, 1, 32, 32), generator=generator, dtype=torch.uint8)
    truth = torch.tensor([1.0]) if target is None else target
    return [Case(f"case/{at}", image, truth, "positive", **kwargs) for at, image in enumerate(images)]


def built(task):
    task.build()
    return task


TASKS = {
    "plain": lambda folder: make_task(folder),
    "AC-Norm": lambda folder: make_task(folder, ACNorm()),
    "frozen": lambda folder: make_task(folder, HeadOnly()),
    "LoRA": lambda folder: adapted_task(folder, LoRA(), "cifar_vit6"),
}


@pytest.mark.parametrize("kind", TASKS)
def test_the_network_is_as_it_was(kind, tmp_path):
    task = built(TASKS[kind](tmp_path)).train()
    list(task.network.modules())[3].eval()  # a mode of its own
    if kind == "frozen":
        task.network.requires_grad_(False)
    seen = lambda: (  # noqa: E731
        [(name, tensor.clone()) for name, tensor in task.state_dict().items()],
        [one.training for one in task.modules()],
        [(one.requires_grad, one.grad is None) for one in task.parameters()],
        [len(one._forward_hooks) + len(one._forward_pre_hooks) for one in task.modules()],
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
    )
    before = seen()
    found = explain(task, cases())
    after = seen()
    assert all(torch.equal(one[1], other[1]) for one, other in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    assert len(found) == 3 and any(one.map.any() for one in found)
    for one in found:
        assert all(one.redrawn[level].shape == one.map.shape for level in LEVELS)


def test_correlations_are_those_of_maps_of_redrawn_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)  # the last one is smaller
    task = built(make_task(tmp_path)).eval()
    three = cases()
    found = explain(task, three)
    images = task.normalise(torch.stack([case.image for case in three]))
    with torch.no_grad():
        logits = task(images)
    sign = 1 if logits[0, 0] > 0 else -1
    assert found[0].label == ("positive" if sign == 1 else "negative")
    assert found[0].probability == pytest.approx(float((sign * logits[0, 0]).sigmoid()), abs=1e-6)
    cam, redrawn = GradCAM(task.network), Redrawn(task.network)
    signs = torch.where(logits[:, 0] > 0, 1.0, -1.0)
    own, _ = cam(images, lambda out: out[:, 0] * signs)
    np.testing.assert_allclose(np.stack([one.map for one in found]), own, atol=1e-6)
    for level in LEVELS:
        each = []
        for seed in range(DRAWS):
            with redrawn.drawn(level, seed):
                maps, _ = cam(images, lambda out: out[:, 0] * signs)
            pairs = [(pd.Series(a.ravel()), pd.Series(b.ravel())) for a, b in zip(own, maps, strict=True)]
            each.append([a.rank().corr(b.rank()) for a, b in pairs])
            if not seed:
                np.testing.assert_allclose(np.stack([one.redrawn[level] for one in found]), maps, atol=1e-6)
        want = pd.DataFrame(each).mean().to_numpy()  # over what is defined
        np.testing.assert_allclose([one.correlation[level] for one in found], want, atol=1e-3)


def test_what_is_true_is_shown_where_it_differs(tmp_path):
    task = built(make_task(tmp_path))
    other = {"positive": 0.0, "negative": 1.0}
    said = explain(task, cases(1))[0].label
    wrong = explain(task, cases(1, torch.tensor([other[said]])))[0]
    right = explain(task, cases(1, torch.tensor([1 - other[said]])))[0]
    asked = explain(task, cases(1, torch.tensor([other[said]]), label=1))[0]
    assert wrong.true[0] != wrong.label == said and right.true is None
    assert asked.label == "positive" and asked.true is None
    # Evidence for one answer of two is evidence against the other.
    assert not np.any((wrong.map > 0) & (wrong.true[1] > 0))


def test_rank_correlation_with_ties():
    one, other = np.array([[0.0, 0, 1], [3, 2, 2]]), np.array([[0.1, 0.2, 0.2], [0.9, 0.9, 0]])
    want = np.corrcoef([1.5, 1.5, 3, 6, 4.5, 4.5], [2, 3.5, 3.5, 5.5, 5.5, 1])[0, 1]
    assert rank_correlation(one, other) == pytest.approx(want)
    assert rank_correlation(one, -one) == pytest.approx(1)  # of absolute values
    assert math.isnan(rank_correlation(one, np.zeros((2, 3))))
    nan = math.nan
    np.testing.assert_array_equal(mean_of_defined(np.array([[1, nan, nan], [3, 4, nan]])), [2, 4, nan])


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "ordinal"])
def test_scores_of_labels(target):
    logits = torch.randn(7, {"binary": 1, "ordinal": 3}.get(target, 4), generator=torch.Generator().manual_seed(1))
    names = ["no", "yes"] if target == "binary" else list("abcd")
    scores, p = LabelScores(target, names), probabilities(target, logits)
    assert scores.probabilities(logits).shape == (7, len(names))
    for label in range(len(names)):
        found = scores.score(logits, torch.full((7,), label))
        own = scores.probabilities(logits)[:, label]
        if target == "ordinal":
            torch.testing.assert_close(found.double(), p[:, label].log(), atol=1e-5, rtol=1e-5)
        elif target == "multiclass":
            assert torch.equal(found, logits[:, label])
        else:
            torch.testing.assert_close(found.sigmoid().double(), own, atol=1e-6, rtol=1e-5)
    if target != "ordinal":  # the median, which need not be the most probable
        assert torch.equal(scores.chosen(logits), scores.probabilities(logits).argmax(1))


def test_true_classes():
    assert LabelScores("binary", ["no", "yes"]).true(torch.tensor([0.0])) == 0
    assert LabelScores("binary", ["no", "yes"]).true(torch.tensor([math.nan])) is None
    assert LabelScores("multiclass", ["a", "b"]).true(torch.tensor(1)) == 1
    assert LabelScores("ordinal", ["a", "b"]).true(torch.tensor(-1)) is None
    assert LabelScores("multilabel", ["a", "b"]).true(torch.tensor([1.0, 0.0])) is None


def test_a_network_that_does_more_is_refused(tmp_path):
    task = built(make_task(tmp_path))
    task.network.forward = lambda x: 2 * task.network.forward_head(task.network.forward_features(x))
    with pytest.raises(UserError, match="makes more of its features"):
        explain(task, cases(1))


def explained(correlation, group="", cells=None):
    cells = np.eye(4) if cells is None else cells
    case = Case("=a/b", torch.zeros(1, 20, 30, dtype=torch.uint8), torch.tensor([1.0]), "yes", group=group)
    return Explained(case, "no", 0.75, cells, ("yes", cells), dict.fromkeys(LEVELS, cells), correlation)


def test_the_summary_warns_of_maps_that_do_not_depend_on_weights():
    alike, nan = dict.fromkeys(LEVELS, 0.9), dict.fromkeys(LEVELS, math.nan)
    other = {"head": 0.9, "last_stage": 0.9, "all": 0.1}
    assert "0.90" in warning_of([explained(alike)])
    assert warning_of([explained(alike), explained(other)]) is None  # 0.5 on average
    assert warning_of([explained(nan)]) is None and warning_of([explained(alike), explained(nan)]) is not None
    said = summary_of([explained(alike), explained(other), explained(nan, cells=np.zeros((4, 4)))])
    assert " 0.50  (0.10 to 0.90)" in said and "1 of the maps is empty" in said
    assert "undefined" in summary_of([explained(nan)])
    frame = table_of([explained(other)], ["a.png"])
    assert frame.loc[0, ["probability", "spearman_all", "file"]].tolist() == [0.75, 0.1, "a.png"]


def test_overlays_show_where_a_map_is_high():
    picture, cells = np.full((40, 60, 3), 0.5), np.zeros((4, 6))
    np.testing.assert_array_equal(overlay(picture, cells), picture)
    cells[3, 1] = 1e-9  # by its own maximum
    apart = np.abs(overlay(picture, cells) - picture).sum(-1)
    assert apart[30:, 10:20].mean() > 10 * apart[:20].mean() and apart[:, 40:].max() == 0


def test_pictures_say_what_they_show():
    correlation = {"head": 0.25, "last_stage": math.nan, "all": -0.5}
    figure = case_figure(explained(correlation, "yes missed"))
    texts = " ".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))
    for said in ("truth: yes", "no, p = 0.750", "for yes", "0.25", "undefined", "-0.50", "yes missed"):
        assert said in texts
    figure = sheet([explained(correlation, "a missed")] * 6 + [explained(correlation, "b missed")])
    texts = [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]
    assert texts.count("a missed") == texts.count("b missed") == 1
    assert sum("p = 0.750" in text for text in texts) == 7
    assert sum(bool(axes.images) for axes in figure.axes) == 7
