"""How configurations come together: files, what they extend, flags, checkpoints."""

import pytest
from support.commands import mistake, transfusion, write_configs
from support.networks import randomised

from transfusion_cli import strategies
from transfusion_cli.cli.app import TransfusionCLI
from transfusion_cli.cli.config import shipped
from transfusion_cli.strategies.parts import NetworkParts


@pytest.fixture(autouse=True)
def configs(tmp_path, monkeypatch):
    """A folder with configs."""
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model(config):
    return config["model"]["init_args"]


def transfer(config):
    """Short name and arguments of the strategy."""
    chosen = model(config)["transfer"]
    return chosen["class_path"].rpartition(".")[2], chosen.get("init_args", {})


def test_a_config_holds_only_what_differs(parsed):
    config = parsed("fit --config bn.yaml")
    assert transfer(config)[0] == "BatchNormAffine"
    assert model(config)["backbone"] == "cifar_resnet20"
    assert config["trainer"]["max_epochs"] == 1
    assert config["data"]["init_args"]["train"] == 16
    assert "extends" not in config


def test_extends_takes_several_and_later_wins(configs, parsed):
    (configs / "deep").mkdir()
    (configs / "deep" / "long.yaml").write_text("extends: ../bn.yaml\ntrainer: {max_epochs: 9}\n")
    (configs / "deep" / "small.yaml").write_text("model: {backbone: cifar_resnet32}\ntrainer: {max_epochs: 5}\n")
    (configs / "my.yaml").write_text("extends: [deep/long.yaml, deep/small.yaml]\ndata: {init_args: {train: 12}}\n")
    config = parsed("fit --config my.yaml")
    assert config["trainer"]["max_epochs"] == 5
    assert model(config)["backbone"] == "cifar_resnet32"
    assert transfer(config)[0] == "BatchNormAffine"
    assert config["data"]["init_args"] | {"train": 12, "other": 8} == config["data"]["init_args"]


@pytest.mark.parametrize("name", ["images_bn", "images_bn.yaml", "configs/images_bn.yaml", "shared/bn.yaml"])
def test_extends_takes_a_shipped_config(name, configs, parsed):
    (configs / "my.yaml").write_text(f"extends: {name}\ndata: ImageTableDataModule\nmodel: {{dropout: 0.3}}\n")
    config = parsed("fit --config my.yaml")
    assert transfer(config)[0] == "BatchNormAffine" and model(config)["dropout"] == 0.3
    (configs / "images_bn.yaml").write_text("extends: base.yaml\nmodel: {transfer: HeadOnly}\n")
    beside = name == "images_bn.yaml"
    assert transfer(parsed("fit --config my.yaml"))[0] == ("HeadOnly" if beside else "BatchNormAffine")


@pytest.mark.parametrize(
    ("piece", "name", "told"),
    [
        ("lpft", "FullFineTuning", {"head_epochs": 5, "head_early_stop": True, "head_lr": 1e-3, "lr": 1e-4}),
        ("adabn", "HeadOnly", {"statistics": "reestimate", "lr": None}),
    ],
)
def test_pieces_that_are_strategies_by_their_options(piece, name, told, configs, parsed):
    (configs / "my.yaml").write_text(f"extends: [bn.yaml, shared/{piece}.yaml]\ntrainer: {{max_epochs: 9}}\n")
    chosen, options = transfer(parsed("fit --config my.yaml"))
    assert chosen == name and options | told == options and "affine" not in options
    phases = getattr(strategies, chosen)(**options).select(NetworkParts.of(randomised()))
    assert [phase.name for phase in phases] == {"lpft": ["head", "full"], "adabn": ["head"]}[piece]


@pytest.mark.parametrize(
    ("flags", "name", "told"),
    [
        ("LayerwiseDecay --model.transfer.decay 0.65 --model.transfer.lr 1e-3", "LayerwiseDecay", {"decay": 0.65}),
        ("GradualUnfreezing --model.transfer.steps 3", "GradualUnfreezing", {"steps": 3, "head_epochs": 1}),
        ("SurgicalFineTuning --model.transfer.stages block2", "SurgicalFineTuning", {"stages": "block2"}),
        (
            "SurgicalFineTuning --model.transfer.stages [conv1,block1]",
            "SurgicalFineTuning",
            {"stages": ["conv1", "block1"]},
        ),
    ],
)
def test_strategies_that_go_by_stages_take_flags(flags, name, told, parsed):
    config = parsed(f"fit --config base.yaml --model.ema 0.99 --model.transfer {flags}")
    chosen, options = transfer(config)
    assert chosen == name and options | told == options and model(config)["ema"] == 0.99


def test_a_base_that_is_nowhere(configs, capsys):
    (configs / "my.yaml").write_text("extends: images_bm\n")
    assert "Did you mean images_bn?" in mistake("fit --config my.yaml", capsys)
    (configs / "my.yaml").write_text("extends: ../../images_bn.yaml\n")
    assert "which does not exist" in mistake("fit --config my.yaml", capsys)


@pytest.mark.parametrize("flag", [False, True])
def test_checkpoints_lie_in_the_run_folder(flag, configs, capsys):
    (configs / "my.yaml").write_text("extends: base.yaml\n" + ("" if flag else "checkpoint: {dirpath: mine}\n"))
    message = mistake(f"fit --config my.yaml {'--checkpoint.dirpath mine' if flag else ''}", capsys)
    assert ("on the command line" if flag else "in my.yaml, line 2") in message and "--root FOLDER" in message
    assert not (configs / "lightning_logs").exists()


def test_a_section_may_lie_in_a_file_beside_the_one_that_names_it(configs, parsed):
    (configs / "deep").mkdir()
    (configs / "deep" / "scale.yaml").write_text("class_path: BatchNormAffine\ninit_args: {affine: scale}\n")
    (configs / "deep" / "my.yaml").write_text("extends: ../base.yaml\nmodel: {transfer: scale.yaml}\n")
    name, arguments = transfer(parsed("fit --config deep/my.yaml"))
    assert (name, arguments["affine"]) == ("BatchNormAffine", "scale")


def test_flags_win_over_configs(parsed):
    config = parsed(
        "fit --config bn.yaml --model.transfer.affine scale --data.batch_size 4 --model.backbone resnet18 "
        "--trainer.max_epochs 3 --model.pretrained some/weights.pth --seed_everything 7"
    )
    assert transfer(config)[1]["affine"] == "scale"
    assert config["data"]["init_args"]["batch_size"] == 4
    assert (model(config)["backbone"], model(config)["pretrained"]) == ("resnet18", "some/weights.pth")
    assert (config["trainer"]["max_epochs"], config["seed_everything"]) == (3, 7)


def test_a_flag_replaces_the_strategy(parsed):
    assert transfer(parsed("fit --config bn.yaml --model.transfer HeadOnly"))[0] == "HeadOnly"


def test_strategies_compose_in_a_list(configs, parsed):
    strategies = "[MeanVarInit, {class_path: BatchNormAffine, init_args: {affine: shift}}]"
    (configs / "my.yaml").write_text(f"extends: bn.yaml\nmodel: {{transfer: {strategies}}}\n")
    for command in ("fit --config my.yaml", f"fit --config bn.yaml --model.transfer '{strategies}'"):
        first, second = model(parsed(command))["transfer"]
        assert first["class_path"].endswith("MeanVarInit")
        assert second["init_args"]["affine"] == "shift"
    assert transfer(parsed("fit --config my.yaml --model.transfer HeadOnly"))[0] == "HeadOnly"


def test_print_config_is_a_config(configs, parsed, capsys):
    command = "fit --config bn.yaml --model.transfer.affine scale"
    with pytest.raises(SystemExit) as stop:
        transfusion(f"{command} --print_config")
    assert stop.value.code == 0
    (configs / "printed.yaml").write_text(capsys.readouterr().out)
    again, before = parsed("fit --config printed.yaml --name bn"), parsed(command)
    assert again == before


def test_a_random_seed_is_recorded(parsed):
    first, second = (parsed("fit --config bn.yaml --seed_everything true")["seed_everything"] for _ in range(2))
    assert first != second
    assert isinstance(first, int) and first >= 0


def test_the_seed_reaches_data_and_model(monkeypatch):
    monkeypatch.setattr(TransfusionCLI, "_run_subcommand", lambda cli, verb: None)
    monkeypatch.setattr(TransfusionCLI, "records", False)
    cli = transfusion("fit --config bn.yaml --seed_everything 7")
    assert (cli.datamodule.seed, cli.model.seed) == (7, 7)
    assert (cli.model.target, cli.model.class_names) == ("binary", ["negative", "positive"])


@pytest.mark.parametrize(("flags", "name"), [("--config bn.yaml", "bn"), ("--config bn.yaml --name x", "x")])
def test_a_run_is_named_after_its_config(flags, name, parsed):
    assert parsed(f"fit {flags}")["name"] == name


def test_early_stopping_is_a_section(parsed):
    assert parsed("fit --config bn.yaml")["early_stopping"] is None
    section = parsed("fit --config bn.yaml --early_stopping.patience 3")["early_stopping"]
    assert section["init_args"]["patience"] == 3


@pytest.mark.parametrize("name", ["one", "one.yaml", "configs/one.yaml"])
def test_a_shipped_config_goes_by_its_name_anywhere(name, configs, parsed, monkeypatch):
    home = configs / "package" / "configs"
    home.mkdir(parents=True)
    (home / "one.yaml").write_text("extends: ../../bn.yaml\ntrainer: {max_epochs: 8}\n")
    monkeypatch.setattr(shipped, "configs_folder", lambda: home)
    assert parsed(f"fit --config {name}")["trainer"]["max_epochs"] == 8
    (configs / "one.yaml").write_text("extends: bn.yaml\n")  # the user's own file goes first
    expected = 8 if name.startswith("configs") else 1
    assert parsed(f"fit --config {name}")["trainer"]["max_epochs"] == (8 if name == "one" else expected)


def test_a_strategy_of_the_users_own(configs, parsed):
    (configs / "own_strategies.py").write_text(
        "from transfusion_cli.strategies import Phase, TransferStrategy\n\n\n"
        "class LastBlock(TransferStrategy):\n"
        "    def __init__(self, block: str = 'layer3') -> None:\n"
        "        super().__init__()\n"
        "        self.block = block\n\n"
        "    def select(self, parts):\n"
        "        return [Phase('block', tuple(n for n in parts.names if n.startswith((self.block, 'fc'))), 'frozen')]\n"
    )
    flags = "--model.transfer own_strategies.LastBlock --model.transfer.block layer2"
    name, arguments = transfer(parsed(f"fit --config base.yaml {flags}"))
    assert (name, arguments) == ("LastBlock", {"block": "layer2"})
