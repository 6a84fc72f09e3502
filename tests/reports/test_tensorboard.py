"""What TensorBoard finds in a run folder."""

import pytest
from support.commands import transfusion, write_configs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """All events of a run of two phases that ended with a test, as TensorBoard reads them."""
    folder = tmp_path_factory.mktemp("tensorboard")
    write_configs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transfusion(
            "fit --config bn.yaml --data.batch_size 8 --model.transfer.head_epochs 1 --trainer.max_epochs 3 "
            "--test_after_fit true --model.optimizer.lr 0.01"
        )
    accumulator = EventAccumulator(str(folder / "lightning_logs/bn/version_0"), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def test_curves_run_over_all_phases(events):
    # Nothing logged later may make TensorBoard believe in a restart, which would wipe what came before.
    assert [event.step for event in events.Scalars("val/auroc")] == [1, 3, 5]
    assert len(events.Scalars("train/loss_step")) == 6
    assert len(events.Scalars("test/auroc")) == 1


def test_learning_rates_carry_the_names_of_their_groups(events):
    rates = {tag for tag in events.Tags()["scalars"] if tag.startswith("lr-")}
    assert rates == {"lr-Adam/head", "lr-Adam/scale_and_shift"}


def test_figures_images_and_audit_are_there(events):
    tags = events.Tags()
    wanted = {f"{split}/{name}" for split in ("val", "test") for name in ("ROC", "precision-recall", "confusion")}
    assert wanted | {"images/first training batch", "weights/drift of scale and shift"} <= set(tags["images"])
    assert "what trains/text_summary" in tags["tensors"]


def test_drift_is_zero_while_the_head_trains_and_grows_then(events):
    drift = [event.value for event in events.Scalars("weights/drift of scale/bn1")]
    assert drift[0] == 0 and 0 < drift[1] < drift[2]


def test_final_metrics_stand_beside_the_hyper_parameters(events):
    assert {"final/test/auroc", "final/val/auroc"} <= set(events.Tags()["scalars"])
