"""Misspelt words, found from the sources alone."""

import resource
import subprocess
import sys
from importlib import import_module

import pytest
from support.commands import write_configs

from transfusion_cli.cli.config import catalog
from transfusion_cli.cli.config.precheck import SECTIONS, Precheck, top_level_words
from transfusion_cli.cli.config.shipped import shipped_configs
from transfusion_cli.errors import UserError


@pytest.fixture(autouse=True)
def configs(tmp_path, monkeypatch):
    """A folder with configs, and nobody's modules trusted: then class names are judged as well."""
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRANSFUSION_TRUST")
    (tmp_path / "my.yaml").write_text("data: PhantomDataModule\nmodel: {transfer: BatchNormAffine}\n")
    return tmp_path


def told(*args, verb="fit"):
    """What is wrong with a command; None where nothing is."""
    try:
        Precheck(verb, list(args)).run()
    except UserError as error:
        return str(error)
    return None


WRONG = {
    "--model.transfr HeadOnly": "Unknown key 'transfr' on the command line.\nDid you mean transfer?",
    "--model.transfer HeadOnli": "Unknown class 'HeadOnli' on the command line.\nDid you mean HeadOnly?",
    "--model.transfer=HeadOnli": "Unknown class 'HeadOnli' on the command line.\nDid you mean HeadOnly?",
    "--model.transfer.afine both": "Unknown key 'afine' on the command line.\nDid you mean affine?",
    "--model.transfer.affine bth": "model.transfer.affine must be both, scale or shift, not 'bth' on the command line."
    "\nDid you mean both?",
    "--model.transfer HeadOnly --model.transfer.affine both": "Unknown key 'affine' on the command line.\n"
    "It is a key of BatchNormAffine.",
    "--model.init_args.transfr x": "Unknown key 'transfr' on the command line.\nDid you mean transfer?",
    "--model.optimizer Addam": "Unknown class 'Addam' on the command line.\nDid you mean Adam?",
    "--model.optimizer AdamW --model.optimizer.leer 1": "Unknown key 'leer' on the command line.\nDid you mean lr?",
    "--model.transfer.help HeadOnli": "Unknown class 'HeadOnli' on the command line.\nDid you mean HeadOnly?",
    "--data CheXpert": "Unknown class 'CheXpert' on the command line.\nDid you mean CheXpertDataModule?",
    "--data.patiens 3": "Unknown key 'patiens' on the command line.\nDid you mean patients?",
    "--data 3": "data is the name of a class, or a section, not '3' on the command line.",
    "--trainer.max_epoch 3": "Unknown key 'max_epoch' on the command line.\nDid you mean max_epochs?",
    "--trainer.max_epochs three": "trainer.max_epochs must be int or null, not 'three' on the command line.",
    "--trainer.max_epochs [3]": "trainer.max_epochs must be int or null, not '[3]' on the command line.",
    "--trainer.callbacks+=LearningRateMonitr": "Unknown class 'LearningRateMonitr' on the command line.\nDid you mean",
    "--trainer fast": "trainer is a section of keys, not 'fast' on the command line.",
    "--traner.max_epochs 3": "Unknown key 'traner' on the command line.\nDid you mean trainer?",
    "--seed 3": "Unknown key 'seed' on the command line.\nDid you mean seed_everything?",
    "--patients 3": "Unknown key 'patients' on the command line.\nDid you mean --data.patients?",
    "--config nowhere": "No such config: nowhere\nSee what is shipped",
    "--ckpt_path nowhere": "No checkpoint at nowhere.\nA run keeps",
    "my.yaml": "There is no place for 'my.yaml' on the command line.\nA value follows its flag: --config my.yaml",
    "--model.transfer mine.Own": "Cannot import mine.Own on the command line: No module named 'mine'\nA module",
    "--model.transfer broken.Own": "broken.py, line 2, is not valid Python: ",
}


@pytest.mark.parametrize("flags", WRONG)
def test_flags(flags, configs):
    (configs / "broken.py").write_text("import torch\nclass Own(:\n")
    assert told("--config", "my.yaml", *flags.split()).startswith(WRONG[flags])


def test_several_mistakes_are_told_at_once_each_at_its_place(configs):
    (configs / "many.yaml").write_text(
        "extends: my.yaml\nmodel:\n  transfr: x\n  transfer: HeadOnli\ntrainer: {max_epochs: many}\ndata: {root: x}\n"
    )
    (configs / "later.yaml").write_text("trainer: {max_epochs: 3}\n")
    assert told("--config", "many.yaml", "--config", "later.yaml").splitlines() == [
        "Unknown key 'transfr' in many.yaml, line 3. Did you mean transfer?",
        "Unknown class 'HeadOnli' in many.yaml, line 4. Did you mean HeadOnly?",
        "trainer.max_epochs must be int or null, not 'many' in many.yaml, line 5.",
    ]
    message = told("--config", "many.yaml", "--trainer.a", "1", "--trainer.b", "1")
    assert message.splitlines()[3:] == ["and 2 more"]


def test_keys_beside_the_name_of_a_class(configs):
    (configs / "mine.yaml").write_text("data:\n  class_path: PhantomDataModule\n  patients: 3\n  intargs: {}\n")
    assert told("--config", "mine.yaml").splitlines() == [
        "Unknown key 'patients' in mine.yaml, line 3. Arguments of the class stand under init_args.",
        "Unknown key 'intargs' in mine.yaml, line 4. Did you mean init_args?",
    ]


def test_a_section_file_is_read(configs):
    (configs / "data.yaml").write_text("class_path: PhantomDataModule\ninit_args:\n  patiens: 4\n")
    (configs / "mine.yaml").write_text("data: data.yaml\n")
    assert told("--config", "mine.yaml").startswith("Unknown key 'patiens' in data.yaml, line 3.")
    (configs / "mine.yaml").write_text("data: lost.yaml\n")
    assert told("--config", "mine.yaml") == "No such file: lost.yaml in mine.yaml, line 1"


RIGHT = [
    "--model.transfer [MeanVarInit,BatchNormAffine] --model.transfer.affine scale",
    "--model.optimizer AdamW --model.optimizer.lr 1e-3 --model.optimizer.weight_decay 0",
    "--model.lr_scheduler lightning.pytorch.cli.ReduceLROnPlateau --model.lr_scheduler.monitor val/loss",
    "--model.pretrained false --model.pretrained weights.pth --model.backbone_args {a:1}",
    "--trainer.callbacks+=LearningRateMonitor --trainer.callbacks.logging_interval step --trainer.logger false",
    "--trainer.precision bf16-mixed --trainer.devices auto --trainer.max_epochs null --trainer.limit_val_batches 0.5",
    "--trainer.strategy ddp --trainer.gradient_clip_val 1e-1 --trainer.fast_dev_run true",
    "--early_stopping.patience 3 --early_stopping PhaseEarlyStopping --steps_to_target.value 0.9",
    "--checkpoint.monitor val/loss --checkpoint.mode min --checkpoint.minutes 5",
    "--data.image_size [3,4] --data.augmentation null --data.num_workers -1 --data.seed 3",
    "--name x --root y --seed_everything true --split data --test_after_fit yes --print_config --weights_only true",
    "--seed_everything=-1 -c my.yaml --model.target x",
    "--data.help PhantomDataModule",
    "--help whatever",
]


@pytest.mark.parametrize("flags", RIGHT)
def test_what_may_be_right_is_passed_on(flags):
    assert told("--config", "my.yaml", *flags.split()) is None


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configs_pass(name):
    assert told("--config", name) is None


def test_classes_of_modules_of_ones_own_are_not_judged(configs, monkeypatch):
    (configs / "mine.py").write_text("class Own: ...\n")
    command = ("--config", "my.yaml", "--model.transfer", "Whatever", "--model.transfer.key", "3")
    assert told(*command) is not None
    assert told(*command, "--data", "mine.Own") is None
    assert told(*command, "--trust", "mine") is None
    monkeypatch.setenv("TRANSFUSION_TRUST", "mine")
    assert told(*command) is None


def test_the_sources_tell_no_fewer_keys_than_the_classes():
    from transfusion_cli.cli.config.names import class_keys, import_all

    import_all()
    import_module("monai")  # as a run with masks has: its schedules bear names of torch's
    for name, keys in class_keys().items():
        if name in catalog.files() and (known := catalog.arguments(name)) is not None:
            assert keys <= set(known) | {"self", "params", "optimizer"}, name
    for name in ("ClassificationTask", "BatchNormAffine", "PhantomDataModule", "RunCheckpoint", "Adam", "Trainer"):
        assert catalog.arguments(name), name


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_every_key_of_the_parser_is_known(verb, parsed, monkeypatch):
    from transfusion_cli.cli.app import TransfusionCLI

    monkeypatch.setenv("TRANSFUSION_TRUST", "support")
    seen = []
    monkeypatch.setattr(TransfusionCLI, "after_instantiate_classes", lambda cli: seen.append(cli._parser(verb)))
    TransfusionCLI([verb, "--config", "my.yaml"])
    for action in seen[0]._actions:
        section, _, key = action.dest.partition(".")
        if section in SECTIONS:
            default = SECTIONS[section]
            known = {"", "help", *(catalog.arguments(default or "") or {})}
            assert default is None or key.partition(".")[0] in known, action.dest
        else:
            assert section in top_level_words() | {"help"}, action.dest


def test_nothing_heavy_is_imported_and_it_takes_no_time(configs):
    code = (
        "import sys\n"
        "from transfusion_cli.cli.main import main\n"
        "for args in (['fit', '--config', 'my.yaml', '--model.transfr', 'x'], ['test', '--ckpt_path', 'lost'],\n"
        "             ['fit', '--config', 'my.yaml', '--model.transfer', 'HeadOnli'], ['data', 'chek']):\n"
        "    try: main(args); sys.exit('passed')\n"
        "    except SystemExit as stop: assert stop.code == 2, stop\n"
        "heavy = {'torch', 'lightning', 'jsonargparse', 'timm', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 2  # for all four; others may have the processor in between
