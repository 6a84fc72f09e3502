"""What fine-tuning gave."""

import json
from pathlib import Path

import pytest
import yaml

from transfusion_cli.errors import UserError
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.transferability.evidence.outcomes import outcomes


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def a_run(name, auroc, backbone="cifar_resnet20", pretrained=True, seed=0, split="ab12", own=True, lr=0.1, **data):
    """A run that was tested."""
    folder = RunFolder(f"lightning_logs/{name}/version_{seed}")
    folder.path.mkdir(parents=True)
    model = {"backbone": backbone, "pretrained": pretrained, "optimizer": {"init_args": {"lr": lr}}}
    kind = data.pop("kind", "PhantomDataModule")
    config = {
        "seed_everything": seed,
        "name": name,
        "model": {"class_path": "transfusion_cli.tasks.classification.ClassificationTask", "init_args": model},
        "data": {"class_path": f"transfusion_cli.datasets.{kind}", "init_args": data},
    }
    folder.config.write_text(yaml.safe_dump(config, sort_keys=False))
    results = {"test/auroc": {"value": auroc}, "test/accuracy": {"value": auroc - 0.1}, "test/loss": {"value": 0.5}}
    results["provenance"] = {"own_split": own, "run_split_sha256": split * 16}
    folder.results.write_text(json.dumps(results))
    return folder.path


def found(*paths, **options):
    frame = outcomes([Path(path) for path in paths], **options)
    return {(source, target): value for source, target, value in frame[["source", "target", "value"]].to_numpy()}


def mistake(*paths, **options):
    with pytest.raises(UserError) as error:
        found(*paths, **options)
    assert len(str(error.value).splitlines()) <= 3
    return str(error.value)


def test_runs_by_what_they_started_from_the_mean_over_seeds():
    a_run("a", 0.8), a_run("a", 0.9, seed=1)
    a_run("b", 0.7, backbone="resnet18.a1_in1k")
    a_run("c", 0.6, pretrained=False)
    a_run("d", 0.5, pretrained="weights/own.pth")
    assert found("a", "b", "c", "d") == {
        ("cifar_resnet20", "Phantom"): pytest.approx(0.85),
        ("resnet18.a1_in1k", "Phantom"): 0.7,
        ("cifar_resnet20=random", "Phantom"): 0.6,
        ("cifar_resnet20=weights/own.pth", "Phantom"): 0.5,
    }
    assert found("b", metric="accuracy") == {("resnet18.a1_in1k", "Phantom"): pytest.approx(0.6)}


def test_targets_of_one_class_are_told_apart_by_the_option_that_does():
    facts = {"kind": "MedMNISTDataModule", "split": "cd34"}
    a_run("a", 0.8, flag="breastmnist", batch_size=8, **facts)
    a_run("b", 0.7, backbone="cifar_resnet32", flag="breastmnist", batch_size=8, **facts)
    a_run("c", 0.6, flag="bloodmnist", batch_size=32, **{**facts, "split": "ef56"})
    a_run("d", 0.5)
    assert {target for _, target in found("a", "b", "c", "d")} == {
        "MedMNIST breastmnist",
        "MedMNIST bloodmnist",
        "Phantom",
    }


def test_or_by_the_split():
    a_run("a", 0.8), a_run("b", 0.7, split="cd34")
    assert {target for _, target in found("a", "b")} == {"Phantom ab12ab12", "Phantom cd34cd34"}


def test_two_recipes_are_not_mixed():
    a_run("a", 0.8), a_run("b", 0.7, lr=0.2)
    assert "not of one recipe:\nthey differ in model.optimizer.lr." in mistake("a", "b")


def test_runs_without_the_metric_are_named():
    folder = a_run("a", 0.8, own=False)
    assert f"{folder} has no test/auroc on its own split" in mistake("a")
    a_run("b", 0.8)
    assert "has no test/dice" in mistake("b", metric="dice")
    assert "more is better, not loss" in mistake("b", metric="loss")


def test_tables_and_runs_together():
    Path("own.csv").write_text("source,target,value\nresnet18,Phantom,0.6\nresnet50,Phantom,\n")
    a_run("a", 0.8)
    assert found("own.csv", "a") == {("resnet18", "Phantom"): 0.6, ("cifar_resnet20", "Phantom"): 0.8}
    Path("again.csv").write_text("source,target,value\ncifar_resnet20,Phantom,0.9\n")
    assert "Two outcomes of cifar_resnet20 on Phantom" in mistake("again.csv", "a")


def test_a_table_that_tells_each_twice():
    Path("own.csv").write_text("source,target,value\na,x,0.6\na,x,0.7\n")
    assert "A second value of 'a, x'" in mistake("own.csv")


def test_no_run():
    assert "There is no run behind 'nothing'" in mistake("nothing")
