"""``transfusion analyze`` on runs of seconds."""

import json

import pandas as pd
import pytest
import torch
from support.commands import mistake, transfusion, write_configs

from transfusion_cli.analysis.networks import load_networks
from transfusion_cli.analysis.spec import Spec

pytestmark = pytest.mark.slow

A, B = "lightning_logs/bn/version_0", "lightning_logs/still/version_0"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run that learned and one whose learning rate was 0."""
    folder = tmp_path_factory.mktemp("home")
    write_configs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        transfusion("fit --config bn.yaml --model.optimizer.lr 0.05")
        still = "--model.optimizer.lr 0 --model.transfer HeadOnly --model.transfer.statistics frozen_all"
        transfusion(f"fit --config base.yaml --name still {still}")
    return folder


@pytest.fixture(autouse=True)
def _there(home, monkeypatch):
    monkeypatch.chdir(home)


def similarity(folder):
    return pd.read_csv(folder / "similarity.csv")


def test_before_and_after(home, capsys):
    folder = transfusion(f"analyze {A} init:{A}")
    out = capsys.readouterr().out
    assert folder.as_posix() == "analysis/init-bn-0_bn-0"
    for name in ("analysis.json", "similarity.csv", "weights.csv", "effective_rank.csv", "filters.csv"):
        assert (folder / name).is_file(), name
    for name in ("cca-by-layer", "cka-by-layer", "movement-by-stage", "effective-rank", "first-layer-filters"):
        assert (folder / f"{name}.png").stat().st_size > 5000 and (folder / f"{name}.svg").is_file(), name
    assert list(folder.glob("events.out.tfevents.*"))
    table = similarity(folder)
    columns = ["network_a", "network_b", "layer_a", "layer_b", "measure", "value", "chance", "d_a", "d_b", "n"]
    assert list(table) == columns
    assert set(table["network_a"]) == {"init:bn/0"} and set(table["network_b"]) == {"bn/0"}
    assert list(table["layer_a"].unique()) == ["conv1", "layer1", "layer2", "layer3", "pooled"]
    score = table[(table["layer_a"] == "layer1") & (table["measure"] == "cca")].iloc[0]
    assert f"{score['value']:.3f} ({score['chance']:.3f})" in out, "chance stands beside the score"
    moved = (
        pd.read_csv(folder / "weights.csv").query("level == 'stage' and measure == 'l2'").set_index(["stage", "role"])
    )
    assert moved.loc[("block1", "weight"), "value"] == 0, "only scale and shift train"
    assert moved.loc[("block1", "scale"), "value"] > 0
    # Of a network without change in its convolution, the first layer is the same.
    conv1 = table[(table["layer_a"] == "conv1") & (table["measure"] == "cca")]["value"].item()
    assert conv1 == pytest.approx(1, abs=1e-6)


def test_nothing_is_written_over(home):
    flags = f"analyze {A} {A} --what weights --out same"
    first, second = transfusion(flags), transfusion(flags)
    assert (first.name, second.name) == ("same", "same_1")


def test_init_is_the_network_that_training_began_with(home):
    """A run that learned nothing still is what it was."""
    after, before = load_networks([Spec.parse(B), Spec.parse(f"init:{B}")])[::-1]
    assert (after.name, before.name) == ("still/0", "init:still/0")
    for name, tensor in after.task.network.state_dict().items():
        assert torch.equal(tensor, before.task.network.state_dict()[name]), name
    folder = transfusion(f"analyze {B} init:{B} --layers layer* --measures cca cka procrustes --what similarity")
    table = similarity(folder)
    assert list(table["layer_a"].unique()) == ["layer1", "layer2", "layer3"]
    assert table["value"].to_numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("file", ["best.ckpt", "last.ckpt", "delta.safetensors"])
def test_any_checkpoint_of_a_run(file, home):
    (network,) = load_networks([Spec.parse(f"{A}/checkpoints/{file}")])
    saved = torch.load(home / A / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    # One epoch was trained: all three hold the same network.
    for name, tensor in network.task.state_dict().items():
        assert torch.equal(tensor, saved[name]), name
    assert not any(module.training for module in network.task.modules())
    assert network.spec.group == "bn"


def test_networks_are_objects_of_their_own():
    first, second, third = load_networks([Spec.parse(text) for text in (A, A, "random:3")])
    assert {n.name for n in (first, second, third)} == {"bn/0", "bn/0 #2", "random:3"}
    places = [{p.data_ptr() for p in n.task.network.parameters()} for n in (first, second, third)]
    assert not places[0] & places[1] and not places[1] & places[2]
    drawn = [load_networks([Spec.parse(A), Spec.parse(f"random:{seed}")])[0].task.network for seed in (3, 3, 4)]
    assert torch.equal(drawn[0].conv1.weight, drawn[1].conv1.weight)
    assert not torch.equal(drawn[0].conv1.weight, drawn[2].conv1.weight)


def test_data_of_the_run_unless_told_otherwise(home):
    one = similarity(transfusion(f"analyze {A} random:1 --what similarity"))
    assert one.query("layer_a == 'layer1'")["n"].unique() == [8 * 16]
    more = transfusion(f"analyze {A} random:1 --what similarity --split train --positions 3")
    assert similarity(more).query("layer_a == 'layer1'")["n"].unique() == [16 * 3]
    few = transfusion(f"analyze {A} random:1 --what similarity --split train --batches 2 --data.batch_size 5")
    assert similarity(few).query("layer_a == 'layer1'")["n"].unique() == [10 * 16]


def test_only_drawn_networks_take_the_backbone_of_the_config():
    folder = transfusion("analyze random:1 random:1 random:2 --config base.yaml --measures cka --what similarity")
    table = similarity(folder)
    twins = table.query("network_a == 'random:1' and network_b == 'random:1 #2'")
    others = table.query("network_b == 'random:2' and layer_a == 'layer3'")
    assert twins["value"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert (others["value"] < 0.98).all()
    assert (folder / "cka-of-the-top-layers.png").is_file()


def test_all_pairs(home):
    folder = transfusion(f"analyze {A} random:1 --all-pairs --layers layer* --measures cka --what similarity")
    assert len(similarity(folder)) == 9
    assert (folder / "cka-random-1-bn-0.png").is_file()


def test_barrier_robustness_and_neighbours(home, capsys):
    folder = transfusion(
        f"analyze {A} {B} init:{B} --what barrier robustness knn --points 3 --reestimate 1 --neighbours 3"
    )
    out = capsys.readouterr().out
    barrier = pd.read_csv(folder / "barrier.csv")
    assert set(barrier["alpha"]) == {0, 0.5, 1} and set(barrier["measure"]) == {"loss", "auroc", "accuracy"}
    heights = barrier.groupby("pair")["loss_barrier"].first()
    assert len(heights) == 3 and heights["init:still/0 to still/0"] == pytest.approx(0, abs=1e-6)
    robust = pd.read_csv(folder / "robustness.csv")
    still = robust.query("network == 'still/0' and replaced_by == 're-initialised'")
    assert (still["drop"] == 0).all(), "it never left where it began"
    assert (robust.query("network == 'still/0' and replaced_by == 're-randomised'")["drop"] != 0).any()
    knn = pd.read_csv(folder / "knn.csv")
    assert set(knn["network"]) == {"bn/0", "still/0", "init:still/0"} and (knn["n_reference"] == 16).all()
    assert "chance 0.5" in out
    assert json.loads((folder / "analysis.json").read_text())["options"]["points"] == 3


def test_one_network_alone():
    folder = transfusion(f"analyze {A} --what filters weights")
    assert (folder / "filters.csv").is_file() and not (folder / "movement-by-stage.png").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (f"analyze {A}", f"Add one, such as init:{A}"),
        (f"analyze --split val {A}", "Networks come first"),
        ("analyze nowhere random:1", "No checkpoint at nowhere"),
        ("analyze lightning_logs/bn random:1", "lightning_logs/bn/version_0"),
        (f"analyze {A} random:x", "random: takes a seed"),
        (f"analyze {A} random:1 --what dreams", "dreams"),
        (f"analyze {A} random:1 --layers layr1", "Did you mean layer1?"),
        (f"analyze {A} random:1 --batches 0", "--batches"),
        (f"analyze {A} random:1 --positions -1", "--positions"),
        (f"analyze {A} random:1 --data.root_ x", "root"),
        ("analyze random:1 random:2", "--config"),
        ("analyze random:1 random:2 --what weights --data.kind multiclass", "--config"),
        (f"analyze {A} {B} --what knn --split val --data.kind multiclass --what barrier", "Give the data"),
    ],
)
def test_mistakes(command, words, capsys):
    assert words in mistake(command, capsys)
