"""What the constructors of a config's classes refuse, and what is seen to before a run trains."""

import pytest
from support.commands import mistake, transfusion, write_configs

from transfusion_cli.cli.config.constructors import Constructors, refused
from transfusion_cli.cli.config.sources import Sources
from transfusion_cli.errors import UserError


@pytest.fixture(autouse=True)
def configs(tmp_path, monkeypatch):
    """A folder with configs."""
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    "--data.batch_size 0": "batch_size must be at least 1, got 0\nTry --data.batch_size 1",
    "--data.num_workers 100000": "num_workers must be at most",
    "--trainer.devices 100000": "--trainer.devices 100000 on the command line would start as many processes on",
    "--data.num_workers -1": "num_workers must be at least 0, got -1\nTry --data.num_workers 1",
    "--data.train_fraction .nan": "train_fraction must lie between 0 and 1, got nan\nTry",
    "--data.batch_size -4 --data.val_fraction 1 --data.image_size 0": "batch_size must be at least 1, got -4\n"
    "image_size must be a number of pixels from 1 to 13,377, got 0\nval_fraction must lie between 0 and 1, got 1.0",
    "--data.image_size 1000000": "image_size must be a number of pixels from 1 to 13,377, got 1000000\nTry",
    "--data.image_size [32,0]": "image_size must be a number of pixels from 1 to 13,377, got (32, 0)\nTry",
    "--model.class_weights [1,2]": "class_weights has 2 values; binary targets with 2 classes need 1.",
    "--model.label_smoothing 3": "label_smoothing is a share, 0 or more and under 1, not 3.0.",
    "--model.transfer.head_epochs -1": "head_epochs must be 0 or more, not -1.",
    "--model.transfer.lr -1": "A learning rate of the transfer strategy is -1.0.\n",
    "--model.transfer [MeanVarInit,FullFineTuning] --model.transfer.head_epochs -1": "head_epochs must be 0 or more",
    "--model.optimizer Adam --model.optimizer.lr -1": "Adam cannot be made with lr -1.0 on the command line:\nInvalid",
    "--model.optimizer Adam --model.optimizer.lr .nan": "Adam cannot be made with lr nan on the command line:\nInvalid",
    "--model.optimizer Adam --model.optimizer.lr .inf": "lr of the optimizer must be finite, not inf.\n"
    "Try --model.optimizer.lr 1e-3",
    "--model.lr_scheduler StepLR --model.lr_scheduler.step_size 0": "StepLR fails at its first step: ",
    "--model.lr_scheduler WarmupCosine --model.lr_scheduler.warmup 3": "warmup and floor of WarmupCosine are shares",
    "--checkpoint.mode maximum": "RunCheckpoint cannot be made with mode maximum on the command line:\n",
    "--checkpoint.save_top_k -5": "RunCheckpoint cannot be made with save_top_k -5 on the command line:\n",
    "--early_stopping PhaseEarlyStopping --early_stopping.mode up": "PhaseEarlyStopping cannot be made with mode up",
    "--checkpoint.monitor val/aucroc": "--checkpoint.monitor watches 'val/aucroc' on the command line, which is not "
    "measured.\nDid you mean val/auroc?",
    "--early_stopping.monitor val/los": "The monitor of PhaseEarlyStopping watches 'val/los' on the command line, "
    "which is not measured.\nDid you mean val/loss?",
    "--steps_to_target.value 1 --steps_to_target.metric val/auc": "--steps_to_target.metric watches 'val/auc' on",
    "--model.lr_scheduler lightning.pytorch.cli.ReduceLROnPlateau --model.lr_scheduler.monitor val/los": "The monitor "
    "of model.lr_scheduler watches 'val/los'",
    "--seed_everything -1": "seed_everything must be a whole number from 0 to 4,294,967,295, or true, not '-1' on",
    "--seed_everything 99999999999999": "seed_everything must be a whole number from 0 to 4,294,967,295, or true",
    "--trainer.max_epochs 0": "--trainer.max_epochs 0 on the command line trains nothing.\nTry --trainer.max_epochs 1",
    "--trainer.limit_train_batches 0": "--trainer.limit_train_batches 0 on the command line trains nothing.",
    "--trainer.accumulate_grad_batches 0": "--trainer.accumulate_grad_batches must be at least 1, got 0 on the command",
    "--trainer.gradient_clip_val .nan": "--trainer.gradient_clip_val must be at least 0, got nan on the command line.",
    "--trainer.accelerator cpuu": "You selected an invalid accelerator name",
    "--model.transfer.head_epochs null": "model.transfer.head_epochs must be int, not 'null' on the command line.",
    "--model.dropout 3": "dropout is a share, 0 or more and under 1, not 3.0\nTry --model.dropout 0.2",
    "--model.in_chans 0": "in_chans must be at least 1, got 0\nTry --model.in_chans 3",
}


@pytest.mark.parametrize("flags", REFUSED)
def test_what_is_out_of_range(flags, configs, capsys):
    before = sorted(configs.rglob("*"))
    assert mistake(f"fit --config bn.yaml {flags}", capsys).startswith(REFUSED[flags])
    assert [path for path in sorted(configs.rglob("*")) if path not in before and path.is_file()] == []


@pytest.mark.parametrize("verb", ["check", "test"])
def test_other_verbs(verb, capsys):
    assert "batch_size must be" in mistake(f"{verb} --config bn.yaml --data.batch_size 0", capsys)


def test_check_sees_what_is_watched(capsys):
    assert "Did you mean val/auroc?" in mistake("check --config bn.yaml --checkpoint.monitor val/aucroc", capsys)


def test_the_file_of_a_value_is_named_though_a_later_one_has_the_key(configs, capsys):
    (configs / "bad.yaml").write_text("extends: bn.yaml\ntrainer:\n  max_epochs: 1.5\n")
    (configs / "good.yaml").write_text("trainer:\n  max_epochs: 2\n")
    message = mistake("fit --config good.yaml --config bad.yaml", capsys)
    assert "not '1.5' in bad.yaml, line 3." in message


@pytest.mark.parametrize(
    "flags", ["--model.lr_scheduler ReduceLROnPlateau", "--model.backbone_args [1]", "--trainer.logger nope"]
)
def test_words_of_the_parser_stay_inside(flags, capsys):
    message = mistake(f"fit --config bn.yaml {flags}", capsys)
    assert not [w for w in ("Parser key", "Union", "Subtypes", "NoneType", "Callable", "class_path") if w in message]


def test_a_checkpoint_past_the_last_epoch(configs, capsys):
    run = transfusion("fit --config bn.yaml --trainer.max_epochs 2 --data.train 8").folder
    message = mistake(f"fit --ckpt_path {run.checkpoints / 'last.ckpt'} --trainer.max_epochs 1", capsys)
    assert "is of epoch 2, after the last one by --trainer.max_epochs 1.\nTo go on: --trainer.max_epochs 3" in message


class Fragile:
    """Refuses everything."""

    def __init__(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UserError("mine"), "mine"),
        (ValueError("bad rate\nand more"), "Fragile cannot be made:\nbad rate"),
        (ValueError("beta is not 2.5"), "Fragile cannot be made with beta 2.5:\nbeta is not 2.5"),
        (KeyError("x"), "Fragile cannot be made:\n'x'\nTRANSFUSION_DEBUG=1 shows where this KeyError comes from."),
    ],
)
def test_what_is_said_of_an_error(error, words):
    assert str(refused(Fragile, {"alpha": 1, "beta": 2.5}, error, Sources())) == words


def test_the_innermost_refusal_counts():
    constructors = Constructors(Sources())
    make = constructors.watched(lambda cls, *args: cls(*args))

    def outer(_):
        try:
            make(Fragile, ValueError("inner"))
        except ValueError:
            raise TypeError("outer") from None

    with pytest.raises(TypeError):
        constructors.watched(lambda cls, *args: outer(cls))(Fragile)
    assert "inner" in str(constructors.refusal)
