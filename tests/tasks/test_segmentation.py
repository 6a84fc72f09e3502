"""Marking classes in images and volumes: training on patches, evaluation of whole cases, resuming."""

import numpy as np
import pytest
import torch
from support.drawn_cases import DrawnCases, DrawnReader
from support.runs import every_checkpoint, make_segmentation, make_trainer, moved, snapshot

from transfusion_cli.errors import UserError
from transfusion_cli.metrics.masks.measure import COLUMNS
from transfusion_cli.strategies import ACNorm, BatchNormAffine, FullFineTuning, HeadOnly, RandomInit
from transfusion_cli.tasks.segmentation import SegmentationTask

SIDES = {2: 16, 3: 8}


def drawn(dims, **kwargs):
    return DrawnCases(dims, **{"side": SIDES[dims], "patch_size": SIDES[dims], "batch_size": 4, **kwargs})


@pytest.fixture(params=[pytest.param(2, id="2-D"), pytest.param(3, id="3-D", marks=pytest.mark.slow)])
def dims(request):
    return request.param


@pytest.mark.slow
def test_it_learns_what_is_bright(tmp_path):
    task = make_segmentation(tmp_path, FullFineTuning(), optimizer=lambda p: torch.optim.Adam(p, lr=5e-3))
    make_trainer(tmp_path, 10).fit(task, datamodule=drawn(2, cases=24, classes=2, patches_per_case=6))
    assert task.validation_metrics["val/dice/box"] > 0.8


@pytest.mark.parametrize(
    ("transfer", "still"),
    [
        (BatchNormAffine, ("conv",)),
        (HeadOnly, ("conv", "bn", "downsample")),
        (lambda: [ACNorm(), BatchNormAffine()], ("conv",)),
    ],
    ids=["affine", "head", "ac-norm"],
)
def test_what_is_frozen_stays_bit_for_bit(dims, transfer, still, tmp_path):
    task = make_segmentation(tmp_path, transfer(), dims)
    task.build()
    before = snapshot(task)
    make_trainer(tmp_path, 2).fit(task, datamodule=drawn(dims))
    changed = moved(before, snapshot(task))
    encoder = {name for name in before if name.startswith("encoder.")}
    assert not {name for name in encoder & changed if any(f".{part}" in name for part in still)}
    assert not {name for name in encoder & changed if "running" in name or "batches" in name}  # statistics: frozen
    fresh = {name for name in before if not name.startswith("encoder.")}
    assert {name for name in fresh if "weight" in name} <= changed
    assert {name for name in fresh if "running_mean" in name} <= changed  # what is fresh gets statistics of its own


def test_whole_cases_are_measured_as_they_are_predicted(dims, tmp_path):
    task = make_segmentation(tmp_path, RandomInit(), dims, overlap=0.25)
    data, trainer = drawn(dims), make_trainer(tmp_path)
    trainer.fit(task, datamodule=data)
    trainer.test(task, datamodule=data, verbose=False)
    task.eval()
    found, reader = task.evaluation, DrawnReader(dims, 2, SIDES[dims])
    assert found.index.tolist() == data.samples.rows("test").tolist() and found.surfaces
    for at, row in enumerate(found.index.tolist()):
        truth = torch.from_numpy(reader.whole(row).truth)
        guess = task.predict_case(data.fixed_set("test")[at, 0]).classes
        for k in (0, 1):
            both = (guess[k] & (truth == k + 1)).sum()
            assert found.measures[at, k, COLUMNS.index("tp")] == both
            assert found.measures[at, k, COLUMNS.index("predicted")] == guess[k].sum()


def test_loss_of_a_case_is_that_of_one_window_over_it(dims, tmp_path):
    data = drawn(dims)
    task = make_segmentation(tmp_path, dims=dims, window=64)
    make_trainer(tmp_path).validate(task, datamodule=data, verbose=False)
    reader, losses = DrawnReader(dims, 2, SIDES[dims]), []
    task.eval()
    for row in data.samples.rows("val"):
        case = reader.whole(row)
        logits = task(task.normalise(torch.from_numpy(case.image)[None]))
        total, weight = task.loss(logits, torch.from_numpy(case.truth)[None])
        losses.append((total / weight).item())
    assert task.evaluation.loss == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("transfer", [FullFineTuning, lambda: [ACNorm(), BatchNormAffine(head_epochs=1)]])
def test_resuming_anywhere_equals_the_uninterrupted_run(dims, transfer, tmp_path):
    def run(ckpt_path=None, callbacks=()):
        task = make_segmentation(tmp_path, transfer(), dims, dropout=0.2)
        saves = {"enable_checkpointing": True, "callbacks": list(callbacks)} if callbacks else {}
        trainer = make_trainer(tmp_path, 2, **saves)
        trainer.fit(task, datamodule=drawn(dims, patches_per_case=2), ckpt_path=ckpt_path)
        return task

    whole = run(callbacks=every_checkpoint(tmp_path / "steps"))
    checkpoints = sorted((tmp_path / "steps").iterdir())
    assert len(checkpoints) == 4
    for path in checkpoints[:3]:
        resumed = run(str(path))
        for name, tensor in resumed.state_dict().items():
            assert torch.equal(tensor, whole.state_dict()[name]), f"{path.name}: {name}"
        assert resumed.validation_metrics == pytest.approx(whole.validation_metrics, rel=0, abs=0, nan_ok=True)


def test_a_checkpoint_says_how_large_patches_were(dims, tmp_path):
    task = make_segmentation(tmp_path, BatchNormAffine(), dims)
    trainer = make_trainer(tmp_path, 1, enable_checkpointing=True, callbacks=every_checkpoint(tmp_path / "steps"))
    trainer.fit(task, datamodule=drawn(dims))
    again = SegmentationTask.load_from_checkpoint(max((tmp_path / "steps").iterdir()))
    assert again.patch == (SIDES[dims],) * dims and again.dims == dims and isinstance(again, SegmentationTask)
    case = drawn(dims).fixed_set("test")[0, 0]
    assert torch.equal(again.predict_case(case).classes, task.eval().predict_case(case).classes)


def test_pixels_are_ranked_where_there_is_one_class(tmp_path):
    task = make_segmentation(tmp_path, FullFineTuning(), optimizer=lambda p: torch.optim.Adam(p, lr=5e-3))
    one = SegmentationTask(class_names=["box"], backbone="cifar_resnet20", pretrained=False)
    assert one.ranking and not task.ranking
    make_trainer(tmp_path, 3).fit(one, datamodule=drawn(2, classes=1, patches_per_case=4))
    assert 0.5 < one.validation_metrics["val/auroc"] <= 1
    assert set(one.validation_metrics) <= one.metric_names and "val/dice" in one.metric_names


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_names": None},
        {"overlap": 1.0},
        {"windows_at_once": 0},
        {"tolerances": [1.0]},
        {"ranking": True},
        {"losses": []},
        {"class_weights": [1.0, 2.0]},
    ],
)
def test_mistakes_are_told(wrong):
    with pytest.raises(UserError):
        SegmentationTask(**{"class_names": ["a", "b"], "backbone": "cifar_resnet20", **wrong})
