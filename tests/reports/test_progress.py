"""The progress bar."""

from types import SimpleNamespace

from lightning.pytorch import Trainer

from transfusion_cli.reports import progress
from transfusion_cli.reports.progress import PAUSE, Progress


class Waited:
    """A number on a device that counts how often somebody waited for it."""

    times = 0

    def __float__(self):
        self.times += 1
        return 0.12345


def test_the_device_is_waited_for_a_few_times_a_second(monkeypatch):
    loss, bar, now = Waited(), Progress(), 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(100):
        now += PAUSE / 10
        assert bar.get_metrics(Trainer.__new__(Trainer), SimpleNamespace(shown={"train/loss": loss})) == {
            "train/loss": "0.123"
        }
    assert 9 <= loss.times <= 11
