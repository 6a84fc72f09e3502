"""Whatever is wrong with a config or a command: code 2, at most four lines, no traceback, nothing left behind."""

import copy
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from transfusion_cli.cli.main import main

RIGHT = {
    "trainer": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False},
    "data": {"class_path": "PhantomDataModule", "init_args": {"patients": 8, "image_size": 32}},
    "model": {
        "class_path": "ClassificationTask",
        "init_args": {
            "backbone": "cifar_resnet20",
            "pretrained": False,
            "transfer": {"class_path": "BatchNormAffine", "init_args": {"affine": "both", "head_epochs": 0}},
            "optimizer": {"class_path": "Adam", "init_args": {"lr": 0.01}},
        },
    },
    "checkpoint": {"monitor": "val/auroc", "mode": "max"},
    "seed_everything": 1,
    "name": "x",
}

DATA, MODEL = "data.init_args.", "model.init_args."
TRANSFER, OPTIMIZER = MODEL + "transfer.", MODEL + "optimizer."

OUT_OF_RANGE = {
    DATA + "batch_size": [0, -3],
    DATA + "num_workers": [-1],
    DATA + "image_size": [0, -32, 10**6, [32, 0]],
    DATA + "train_fraction": [0, 2, -0.1, float("nan")],
    DATA + "val_fraction": [0, 1, 1.5, float("nan")],
    DATA + "train_size": [0, -1],
    DATA + "patients": [0, 1, -5],
    DATA + "split_seed": [-1],
    DATA + "augmentation": ["nope", ["Nope"], [{"HorizontalFlip": {"q": 1}}], 3],
    MODEL + "dropout": [3, -0.5, float("nan")],
    MODEL + "in_chans": [0, -3],
    MODEL + "backbone": ["resnet5000", "", 3],
    MODEL + "pretrained": ["nowhere.pth", "nowhere.safetensors"],
    MODEL + "backbone_args": [[1], {"nope": 3}, {"pretrained": True}],
    MODEL + "class_weights": [[1, 2], "outo"],
    MODEL + "label_smoothing": [1, -0.1, 7, float("nan")],
    MODEL + "focal_gamma": [-1, float("inf"), float("nan")],
    TRANSFER + "init_args.head_epochs": [-1],
    TRANSFER + "init_args.affine": ["scla", 3],
    TRANSFER + "init_args.lr": [-1, float("nan"), {"hed": 1}],
    OPTIMIZER + "init_args.lr": [-1, float("nan"), float("inf"), "fast"],
    OPTIMIZER + "init_args.weight_decay": [-1, float("inf")],
    "checkpoint.monitor": ["val/aucroc", "auroc", "val/", "epochs"],
    "checkpoint.mode": ["maximum", ""],
    "checkpoint.save_top_k": [-5],
    "early_stopping": [{"monitor": "val/los"}, {"mode": "down"}, {"patience": "long"}],
    "steps_to_target": [{"value": 1, "metric": "auc"}],
    "seed_everything": [-1, 2**32, "x", 1.5, [1]],
    "split": ["mine", 3],
    "trainer.max_epochs": [0, -5],
    "trainer.accelerator": ["cpuu", "gpuu"],
    "trainer.precision": ["7", "half"],
    "trainer.strategy": ["nope"],
    "trainer.profiler": ["nope"],
    "trainer.logger": ["nope"],
    "trainer.callbacks": ["nope", ["Nope"], [3]],
    "trainer.accumulate_grad_batches": [0, -1],
    "trainer.gradient_clip_val": [-1, float("nan")],
    "trainer.limit_train_batches": [0, -1, 2.5],
    "trainer.val_check_interval": [-1, 5.5],
    "trainer.check_val_every_n_epoch": [0],
    "trainer.num_nodes": [0],
    "trainer.max_time": ["soon"],
    "trainer.devices": [0, -3, "many"],
}
"""Values that no run can have."""

INTEGERS = [DATA + "batch_size", DATA + "patients", MODEL + "in_chans", TRANSFER + "init_args.head_epochs"]
CLASSES = ["data.class_path", "model.class_path", TRANSFER + "class_path", OPTIMIZER + "class_path"]
NO_CONFIGS = [
    "data: [",
    "- a\n- b",
    "just words",
    "3",
    "a: b: c",
    "extends: 3",
    "extends: lost.yaml",
    "extends: c.yaml",
]
NO_CONFIGS += ["data: &d {x: *d}", "data: 1\ndata: 2", "trainer: !!python/object/apply:os.getcwd []", "\tdata: 1"]
NO_COMMANDS = ["fti", "trian --config c.yaml", "fit --config", "fit --config lost", "fit c.yaml", "fit --confg c.yaml"]
NO_COMMANDS += ["test --ckpt_path lost.ckpt", "data chek", "data check --config lost", "check --config lost"]
NO_COMMANDS += ["fit --trust", "list nothing", "list configs more", "compare", "compare lost", "compare x --metrik a"]
NO_COMMANDS += ["analyze lost", "analyze lost also --what magic", "completion", "completion tcsh", "help fti"]
NO_COMMANDS += ["fit --model.transfer.help Nope", "data show --config c.yaml --split tset", "data prepare --size x"]

letters = st.sampled_from(string.ascii_lowercase)


@st.composite
def misspelt(draw, word):
    """A word with one letter lost, doubled or changed, so that it is no longer the same."""
    place = draw(st.integers(0, len(word) - 1))
    how = draw(st.sampled_from(["", word[place] * 2, "qz"]))
    wrong = word[:place] + how + word[place + 1 :]
    return wrong + "q" if wrong == word or len(wrong) < 3 else wrong


def paths(node, before=()):
    """Every path of keys."""
    for key, value in node.items():
        yield (*before, key)
        if isinstance(value, dict):
            yield from paths(value, (*before, key))


def put(config, path, value):
    """Set a value; sections on the way are made."""
    *way, last = path.split(".") if isinstance(path, str) else path
    for key in way:
        config = config.setdefault(key, {})
    config[last] = value


@st.composite
def broken(draw):
    """A config, as YAML, and flags, with one to three mistakes."""
    config, flags = copy.deepcopy(RIGHT), []
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.sampled_from(["range", "range", "flag", "key", "type", "class", "section"])):
            case "range":
                path = draw(st.sampled_from(sorted(OUT_OF_RANGE)))
                put(config, path, draw(st.sampled_from(OUT_OF_RANGE[path])))
            case "flag":
                path = draw(st.sampled_from(sorted(OUT_OF_RANGE)))
                value = draw(st.sampled_from(OUT_OF_RANGE[path]))
                flags.append(f"--{path.replace('init_args.', '')}={yaml.safe_dump(value, default_flow_style=True)}")
            case "key":
                *way, key = draw(st.sampled_from(sorted(paths(RIGHT))))
                put(config, (*way, draw(misspelt(key))), 1)
            case "type":
                path = draw(st.sampled_from(INTEGERS))
                put(config, path, draw(st.sampled_from(["many", [1, 2], {"a": 1}, 1.5, True, None])))
            case "class":
                path = draw(st.sampled_from(CLASSES))
                wrong = ["HeadOnly", "Adam", "lost.Module", "os.system", 3, "", "a b", *"*&"]
                value = draw(st.sampled_from(wrong))
                put(config, path, "NoSuchClass" if value in ("HeadOnly", "Adam") and "class" in value else value)
            case "section":
                config[draw(st.sampled_from(["data", "model", "trainer"]))] = draw(
                    st.sampled_from([3, "words", [1], "lost.yaml", ["a", "b"], True])
                )
        if not isinstance(config["data"], dict) or not isinstance(config["model"], dict):
            break
        if not isinstance(config["trainer"], dict):
            break
    return yaml.safe_dump(config), flags


def refused(args, folder, capsys):
    """Run a command that must be refused, and see that it is, as people wish it."""
    (folder / "c.yaml").touch()
    before = {path for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(args)
        pytest.fail(f"{args} was taken:\n{(folder / 'c.yaml').read_text()}")
    err = capsys.readouterr().err
    assert stop.value.code == 2, err
    message = err.rpartition("transfusion: ")[2]
    assert 1 <= len(message.splitlines()) <= 4, err
    for word in ("Traceback", "Parser key", "Union", "Subtypes", "NoneType", "Namespace("):
        assert word not in message
    assert {path for path in folder.rglob("*") if path.is_file()} == before


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, and nobody's modules trusted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRANSFUSION_TRUST")
    return tmp_path


@pytest.mark.parametrize("command", NO_COMMANDS)
def test_commands(command, folder, capsys):
    (folder / "c.yaml").write_text(yaml.safe_dump(RIGHT))
    refused(command.split(), folder, capsys)


@pytest.mark.parametrize("content", NO_CONFIGS)
def test_files(content, folder, capsys):
    (folder / "c.yaml").write_text(content)
    refused(["fit", "--config", "c.yaml"], folder, capsys)


def check(drawn, capsys):
    config, flags = drawn
    Path("c.yaml").write_text(config)
    refused(["fit", "--config", "c.yaml", *flags], Path.cwd(), capsys)


drawn_once = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": [Phase.generate],  # the first failure is simple enough, and each try takes a second
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=30, **drawn_once)
@given(broken())
def test_configs(folder, capsys, drawn):
    check(drawn, capsys)


@pytest.mark.slow
@settings(max_examples=300, **drawn_once)
@given(broken())
def test_many_configs(folder, capsys, drawn):
    check(drawn, capsys)
