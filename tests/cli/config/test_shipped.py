"""The shipped configs: each parses, says what it needs, and takes the overrides its header promises."""

import shlex

import pytest

from transfusion_cli.cli.config.shipped import shipped_configs

CONFIGS = shipped_configs()
STRATEGIES = {
    "full": "FullFineTuning",
    "head": "HeadOnly",
    "bn": "BatchNormAffine",
    "meanvar": "MeanVarInit",
    "acnorm": "ACNorm",
}
OF_TRANSFORMERS = {"affine": "NormAffine", "lora": "LoRA", "llrd": "LayerwiseDecay"}


def header(name):
    """The comment block at the top, by its keywords."""
    lines = [line[1:].strip() for line in CONFIGS[name].read_text().splitlines() if line.startswith("#")]
    return {line.split()[0]: line.partition(" ")[2].strip() for line in lines if line}


ONE_OF_EACH_DATA_SET = [
    name for name in CONFIGS if name.rpartition("_")[2] not in {*STRATEGIES, *OF_TRANSFORMERS} - {"bn"}
]


def test_the_promised_configs_are_there():
    promised = {f"{data}_{strategy}" for data in ("chexpert", "pneumoniamnist") for strategy in STRATEGIES}
    promised |= {
        f"{data}_{strategy}" for data in ("drive", "chasedb1") for strategy in ("full", "head", "bn", "acnorm")
    }
    promised |= {f"images_{strategy}" for strategy in ("bn", "head", "norm_affine", "lora", "llrd")}
    promised |= {"masks_bn", "stare_bn", "hrf_bn", "demo", "demo_segmentation"}
    assert promised <= set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_parses_as_its_header_says(name, parsed):
    told = header(name)
    assert told["Run"].startswith(f"transfusion fit --config configs/{name}.yaml")
    flags = shlex.split(told["Run"])[2:] + shlex.split(told.get("Override", ""))
    config = parsed(shlex.join(["fit", *flags]))
    assert config["name"] == name
    strategy = (STRATEGIES | OF_TRANSFORMERS).get(name.rpartition("_")[2])
    if strategy and "--model.transfer" not in flags:
        assert config["model"]["init_args"]["transfer"]["class_path"].endswith(strategy)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.startswith("pneumoniamnist")])
def test_a_config_says_where_its_weights_file_comes_from(name):
    told = header(name)
    assert "resnet20-12fca82f.th" in told["Weights"] and "akamaster/pytorch_resnet_cifar10" in told["Weights"]
    assert told["Run"].endswith("--model.pretrained FILE")


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH_DATA_SET)
def test_takes_the_keys_met_most(name, parsed):
    root = "" if name.startswith("demo") else "--data.root elsewhere"
    config = parsed(
        f"fit --config {CONFIGS[name]} {root} --data.batch_size 3 --model.backbone resnet18 --model.pretrained false "
        "--model.transfer HeadOnly --trainer.max_epochs 2"
    )
    data, model = config["data"]["init_args"], config["model"]["init_args"]
    assert root == "" or data["root"] == "elsewhere"
    assert (data["batch_size"], model["backbone"], model["pretrained"]) == (3, "resnet18", False)
    assert model["transfer"]["class_path"].endswith("HeadOnly")
    assert config["trainer"]["max_epochs"] == 2
