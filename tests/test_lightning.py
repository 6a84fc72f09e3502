"""Private names of Lightning that this program relies on, all of them: a release without one fails here, by name.

Each stands beside the file that uses it.
"""

import inspect
from importlib import import_module

import pytest

PRIVATE = {
    "pytorch.cli:LightningCLI": {
        "_prepare_subcommand_parser": "cli/app.py",
        "_instantiate_trainer": "cli/app.py, cli/check.py",
        "_parse_ckpt_path": "cli/app.py",
        "_run_subcommand": "cli/app.py",
        "_parser": "cli/app.py",
    },
    "pytorch.core.mixins.hparams_mixin:_given_hyperparameters": {"get": "tasks/base.py"},
    "pytorch.core.module:LightningModule": {"_trainer": "tasks/base.py"},
    "pytorch.callbacks.callback:Callback": {"_generate_state_key": "tasks/steps_to_target.py"},
    "pytorch.callbacks.model_checkpoint:ModelCheckpoint": {
        "_every_n_epochs": "training/run_checkpoint.py",
        "_last_checkpoint_saved": "training/run_checkpoint.py",
        "_last_global_step_saved": "training/run_checkpoint.py, training/interruption.py",
        "_monitor_candidates": "training/run_checkpoint.py",
        "_save_topk_checkpoint": "training/run_checkpoint.py",
        "_should_skip_saving_checkpoint": "training/run_checkpoint.py",
    },
    "pytorch.loops.fit_loop:_FitLoop": {"_data_fetcher": "training/run_checkpoint.py"},
    "pytorch.loops.training_epoch_loop:_TrainingEpochLoop": {
        "_broadcast_sigterm_tensor": "training/connectors.py",
        "_should_accumulate": "training/run_checkpoint.py",
        "_should_check_val_fx": "training/run_checkpoint.py",
    },
    "pytorch.strategies.launchers.subprocess_script:_SubprocessScriptLauncher": {
        "_call_children_scripts": "training/together.py"
    },
    "pytorch.trainer.connectors.checkpoint_connector:_CheckpointConnector": {
        "_hpc_resume_path": "training/connectors.py"
    },
    "pytorch.trainer.connectors.signal_connector:_SignalConnector": {
        "register_signal_handlers": "training/connectors.py",
        "teardown": "training/connectors.py",
    },
    "pytorch.trainer.trainer:Trainer": {
        "_checkpoint_connector": "training/connectors.py",
        "_signal_connector": "training/connectors.py",
    },
}


@pytest.mark.parametrize("owner", PRIVATE)
def test_it_is_still_there(owner):
    module, _, name = owner.partition(":")
    thing = getattr(import_module(f"lightning.{module}"), name)
    source = inspect.getsource(thing) if inspect.isclass(thing) else ""
    gone = [private for private in PRIVATE[owner] if not hasattr(thing, private) and f"self.{private}" not in source]
    assert not gone, f"Lightning has no longer: {', '.join(f'{one} (used in {PRIVATE[owner][one]})' for one in gone)}"
