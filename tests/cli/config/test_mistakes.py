"""Every mistake on the command line or in a config: what was wrong, where, what to type."""

import pytest
from support.commands import mistake, write_configs

from transfusion_cli.cli.app import TransfusionCLI


@pytest.fixture(autouse=True)
def configs(tmp_path, monkeypatch):
    """A folder with configs; mistakes must come to light before anything is built."""
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TransfusionCLI, "instantiate_classes", lambda cli: pytest.fail("nothing may be built"))
    return tmp_path


FLAGS = {
    "--model.transfer BatchNormAfine": ["'BatchNormAfine' on the command line", "Did you mean BatchNormAffine?"],
    "--model.transfr HeadOnly": ["'transfr' on the command line", "Did you mean transfer?"],
    "--model.transfer.afine both": ["'afine'", "Did you mean affine?"],
    "--model.transfer.affine sclae": ["affine must be both, scale or shift, not 'sclae'", "Did you mean scale?"],
    "--model.transfer HeadOnly --model.transfer.affine both": ["'affine'", "It is a key of BatchNormAffine."],
    "--model.transfer my_module.Mine": ["Cannot import my_module.Mine", "No module named 'my_module'"],
    "--model.optimizer Addam": ["'Addam'", "Did you mean Adam?"],
    "--model.optimizer AdamW --model.optimizer.lr fast": ["lr must be float", "not 'fast' on the command line"],
    "--model.lr_scheduler CosineAnnealingLR": ["needs a value for: T_max"],
    "--model Elsewhere": ["'Elsewhere'", "my_module.Elsewhere"],
    "--data CheXpert": ["'CheXpert'", "Did you mean CheXpertDataModule?"],
    "--data.batchsize 3": ["'batchsize'", "Did you mean batch_size?"],
    "--data.batch_size many": ["batch_size must be int, not 'many'"],
    "--data parts/missing.yaml": ["No such file: parts/missing.yaml"],
    "--data.seed 3": ["--data.seed", "follows --seed_everything"],
    "--model.init_args.class_names=[a]": ["--model.class_names", "follows the data"],
    "--trainer.max_epoch 3": ["'max_epoch'", "Did you mean max_epochs?"],  # no abbreviations
    "--traner.max_epochs 3": ["'traner'", "Did you mean trainer?"],
    "--trainer.max_epochs=three": ["trainer.max_epochs must be int or null, not 'three'"],
    "--trainer.accelerator": ["--trainer.accelerator", "expected one argument"],
    "--checkpoint.monitr x": ["'monitr'", "Did you mean monitor?"],
    "--nam x": ["'nam'", "Did you mean name?"],
    "--name ../../x": ["--name '../../x'", "no name for a folder inside --root", "--root DIR"],
    "--seed_everything x": ["seed_everything", "'x'"],
    "bn.yaml": ["no place for 'bn.yaml'", "--config bn.yaml"],
    "runs/mine": ["no place for 'runs/mine'", "transfusion test runs/mine"],
    "--config nowhere.yaml": ["No such config: nowhere.yaml", "transfusion list configs"],
    "--ckpt_path nowhere.ckpt": ["No checkpoint at nowhere.ckpt"],
}


@pytest.mark.parametrize("flags", FLAGS)
def test_flags(flags, capsys):
    message = mistake(f"fit --config bn.yaml {flags}", capsys)
    for words in FLAGS[flags]:
        assert words in message


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("boom", "raise RuntimeError('the cause')", "the cause"),
        ("lacks", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("half", "class Own(:", "half.py, line 1, is not valid Python"),
    ],
)
def test_why_a_module_of_ones_own_cannot_be_imported(name, source, words, configs, capsys, monkeypatch):
    monkeypatch.syspath_prepend(configs)
    (configs / f"{name}.py").write_text(f"{source}\n")
    assert words in mistake(f"fit --config bn.yaml --model.transfer {name}.Own", capsys)


CONFIGS = {
    "model: {transfer: BatchNormAfine}": ["'BatchNormAfine' in my.yaml, line 2", "Did you mean BatchNormAffine?"],
    "model: {transfr: HeadOnly}": ["'transfr' in my.yaml, line 2", "Did you mean transfer?"],
    "model:\n  transfer:\n    class_path: BatchNormAffine\n    init_args:\n      afine: both": [
        "'afine' in my.yaml, line 6",
        "Did you mean affine?",
    ],
    "model:\n  transfer:\n  - MeanVarInit\n  - BatchNormAffin": [
        "'BatchNormAffin' in my.yaml, line 5",
        "Did you mean BatchNormAffine?",
    ],
    "model: {transfer: {class_path: BatchNormAffine, init_args: {affine: bth}}}": [
        "affine must be both, scale or shift, not 'bth' in my.yaml, line 2",
        "Did you mean both?",
    ],
    "modle: {}": ["'modle' in my.yaml, line 2", "Did you mean model?"],
    "trainer: {max_epoch: 3}": ["'max_epoch' in my.yaml, line 2", "Did you mean max_epochs?"],
    "trainer: {max_epochs: three}": ["trainer.max_epochs must be int or null, not 'three' in my.yaml, line 2"],
    "trainer:\n  callbacks:\n  - class_path: LearningRateMonitor\n    init_args: {loging_interval: step}": [
        "'loging_interval' in my.yaml, line 5",
        "Did you mean logging_interval?",
    ],
    "data: {class_path: TinyDataModul}": ["'TinyDataModul' in my.yaml, line 2", "Did you mean TinyDataModule?"],
    "data: missing.yaml": ["No such file: missing.yaml in my.yaml, line 2"],
    "data: [": ["my.yaml, line 3, is not valid YAML"],
}


@pytest.mark.parametrize("content", CONFIGS)
def test_configs(content, configs, capsys):
    (configs / "my.yaml").write_text(f"extends: bn.yaml\n{content}\n")
    message = mistake("fit --config my.yaml", capsys)
    for words in CONFIGS[content]:
        assert words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("extends: lost.yaml", ["my.yaml extends lost.yaml", "beside my.yaml"]),
        ("extends: my.yaml", ["my.yaml extends itself"]),
        ("extends: 3", ["my.yaml extends 3, which names no file"]),
        ("extends: [base.yaml, [bn.yaml]]", ["which names no file"]),
        ("name: a\ntrainer: {}\nname: b", ["my.yaml, line 3", "the key 'name' is there twice, first in line 1"]),
        ("extends: bn.yaml\nmodel: &m\n  transfer: *m", ["my.yaml stands for more than 100,000 values"]),
        ("just text", ["my.yaml is not a config"]),
        ("# nothing but a remark", ["says nothing of: data", "configs/demo.yaml"]),
    ],
)
def test_whole_files(content, words, configs, capsys):
    (configs / "my.yaml").write_text(content + "\n")
    message = mistake("fit --config my.yaml", capsys)
    assert all(word in message for word in words)


def test_a_section_file_is_named(configs, capsys):
    (configs / "parts").mkdir()
    (configs / "parts" / "data.yaml").write_text("class_path: TinyDataModule\ninit_args:\n  trian: 4\n")
    (configs / "my.yaml").write_text("data: parts/data.yaml\n")
    assert "'trian' in parts/data.yaml, line 3" in mistake("fit --config my.yaml", capsys)


def test_no_config(capsys):
    assert "says nothing of: data" in mistake("fit", capsys)


@pytest.mark.parametrize("verb", ["validate", "test", "predict", "check"])
def test_other_verbs_explain_as_well(verb, capsys):
    assert "Did you mean HeadOnly?" in mistake(f"{verb} --config bn.yaml --model.transfer HeadOnli", capsys)


def test_shipped_name_is_suggested(configs, capsys, monkeypatch):
    (configs / "configs").mkdir()
    (configs / "configs" / "demo.yaml").touch()
    monkeypatch.setattr("transfusion_cli.cli.config.shipped.configs_folder", lambda: configs / "configs")
    assert "Did you mean demo?" in mistake("fit --config demmo", capsys)
