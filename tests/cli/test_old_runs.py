"""A run that an earlier version left, kept as it was, is read by every verb."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from support.commands import transfusion

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden" / "run_0.1.0"
RUN = "lightning_logs/old/version_0"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN, RUN)
    shutil.copy(f"{RUN}/checkpoints/last.ckpt", f"{RUN}/checkpoints/best.ckpt")
    return tmp_path


@pytest.mark.parametrize("name", ["best.ckpt", "delta.safetensors"])
def test_its_checkpoints_predict_what_they_did(name, home):
    transfusion(f"test --ckpt_path {RUN}/checkpoints/{name} --data.num_workers 0")
    was, now = (pd.read_csv(f"{RUN}/predictions_test{number}.csv") for number in ("", "_1"))
    pd.testing.assert_frame_equal(was, now, rtol=0, atol=1e-4)  # other processors round otherwise
    was, now = (json.loads(Path(f"{RUN}/results{number}.json").read_text()) for number in ("", "_1"))
    assert list(was) == list(now)
    assert now["test/loss"]["value"] == pytest.approx(was["test/loss"]["value"], abs=1e-4)
    assert now["provenance"]["own_split"] is True


def test_it_goes_on_and_is_compared_and_analysed(home, capsys):
    transfusion(f"fit --resume {RUN} --trainer.max_epochs 3 --test_after_fit false --data.num_workers 0")
    assert "epoch 3 of 3" in capsys.readouterr().out
    transfusion("compare old")
    assert "old" in capsys.readouterr().out
    assert (transfusion(f"analyze {RUN} init:{RUN} --what weights") / "weights.csv").is_file()
