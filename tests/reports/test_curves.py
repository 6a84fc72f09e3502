"""TensorBoard reads the parts of a run in the order in which they were written."""

import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from transfusion_cli.reports.curves import Curves


def test_a_clock_that_was_set_back_hides_no_part_of_a_resumed_run(tmp_path, monkeypatch):
    run = tmp_path / "name" / "version_0"
    now = time.time()
    for part, clock in enumerate((now, now - 86_400, now + 60, now - 1e8)):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        curves = Curves(run)
        for step in (2 * part, 2 * part + 1):
            curves.log_metrics({"loss": step / 2}, step)
        curves.save()
        curves.finalize("success")
    monkeypatch.undo()
    assert len(list(run.glob("events*"))) == 4
    events = EventAccumulator(str(run))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(n, n / 2) for n in range(8)]
