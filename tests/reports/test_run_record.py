"""What the folder of a run says."""

from transfusion_cli.reports.run_record import flatten


def test_settings_are_named_as_they_are_typed():
    config = {
        "model": {"class_path": "x.Task", "init_args": {"transfer": [{"class_path": "A"}], "optimizer": {"lr": 1}}}
    }
    assert flatten(config) == {"model": "x.Task", "model.transfer": [{"class_path": "A"}], "model.optimizer.lr": 1}
