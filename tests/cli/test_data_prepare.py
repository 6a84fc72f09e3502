"""``transfusion data prepare``, and runs from what it wrote."""

import csv

import numpy as np
import pytest
from support.commands import mistake, transfusion
from support.images import build_image_table
from support.volume_files import build_volumes

import transfusion_cli.cli.data_cli as data_cli
import transfusion_cli.data.base as data_base

pytestmark = pytest.mark.slow

CONFIG = """\
data:
  class_path: ImageTableDataModule
  init_args: {table: images/table.csv, channels: 1, image_size: 32, batch_size: 4, num_workers: 0}
model: {backbone: cifar_resnet20, pretrained: false}
trainer: {max_epochs: 1, accelerator: cpu, devices: 1, enable_progress_bar: false, log_every_n_steps: 1}
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    build_image_table(tmp_path / "images", splits=True)
    (tmp_path / "small.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def metrics(run):
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_prepare_then_fit_gives_the_same_run(home, capsys):
    transfusion("data prepare --config small.yaml --size 32 --workers 1")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "24 images of 32 x 32 pixels, 0.0 MB"
    assert said[1].startswith("They are in data_cache/32x32-")
    assert said[2] == "Use them: transfusion fit --config small.yaml --data.cache data_cache"
    assert sorted(path.name for path in home.iterdir()) == ["data_cache", "images", "small.yaml"]
    transfusion("fit --config small.yaml --name files")
    for path in (home / "images/images").iterdir():
        path.write_bytes(b"")  # of another size: the cache must not be trusted
    command = said[2].partition("transfusion ")[2]
    with pytest.raises(SystemExit):
        transfusion(f"{command} --name replaced")
    assert "images/000_0.png is not the file that the cache was made from" in capsys.readouterr().err
    for path in (home / "images/images").iterdir():
        path.unlink()
    transfusion(f"{command} --name cached")
    runs = [home / f"lightning_logs/{name}/version_0" for name in ("files", "cached")]
    one, two = (metrics(run) for run in runs)
    timing = [key for key in one[0] if "time" in key or "second" in key]
    assert [{**row, **dict.fromkeys(timing)} for row in one] == [{**row, **dict.fromkeys(timing)} for row in two]
    assert any(row.get("val/loss") for row in one)


def test_size_follows_the_config_or_the_backbone(capsys):
    transfusion("data prepare --config small.yaml --data.cache kept --data.train_fraction 0.5")
    assert "24 images of 32 x 32" in capsys.readouterr().out  # all, whatever part a run uses
    cli = transfusion("data prepare --config small.yaml --data.image_size null --size 8x12 --data.cache kept")
    said = capsys.readouterr().out
    assert "24 images of 8 x 12" in said and said.count("--data.cache") == 1
    assert said.endswith("--data.image_size null --data.cache kept --data.image_size '[8, 12]'\n")
    assert cli.datamodule.size == (32, 32)  # what the backbone is made for


@pytest.mark.parametrize("size", ["24", "40", "24x36"])
def test_the_hint_works_as_it_stands(home, capsys, size):
    """Another size than the config's, and folders with spaces."""
    (home / "my images").mkdir()
    for name in ("table.csv", "images"):
        (home / "images" / name).rename(home / "my images" / name)
    flags = "--config small.yaml --data.table 'my images/table.csv' --data.cache 'my cache'"
    transfusion(f"data prepare {flags} --size {size} --workers 1")
    hint = capsys.readouterr().out.splitlines()[2]
    cli = transfusion(f"{hint.partition('transfusion ')[2]} --name hinted")
    assert cli.datamodule.size == (24, 36) if "x" in size else (int(size), int(size))
    reader = cli.datamodule.train_dataloader().dataset.read
    assert reader.path.parent.name == "my cache" and reader.shape[1:] == cli.datamodule.size


@pytest.mark.parametrize(
    ("backbone", "side"), [("resnet18", 224), ("inception_v3", 299), ("vit_small_patch16_384", 384)]
)
def test_expected_size_needs_no_weights(backbone, side):
    from jsonargparse import Namespace

    assert data_cli.expected_size(Namespace(init_args=Namespace(backbone=backbone, pretrained=True))) == (side, side)
    assert data_cli.expected_size(Namespace(init_args=Namespace())) == (224, 224)


def test_expected_size_that_weights_state(home):
    import torch
    from jsonargparse import Namespace
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, home / "weights.safetensors", {"input_size": "[3, 96, 80]"})
    model = Namespace(init_args=Namespace(backbone="resnet18", pretrained=str(home / "weights.safetensors")))
    assert data_cli.expected_size(model) == (96, 80)


def test_unreadable_images_end_with_a_list(home, capsys):
    (home / "images/images/002_1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(SystemExit) as end:
        transfusion("data prepare --config small.yaml --workers 1")
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert "1 of 24 images cannot be read, for example images/002_1.png (not a readable image)" in message
    (listed,) = (home / "data_cache").glob("*.unreadable.txt")
    assert f"--data.exclude {listed.relative_to(home)}" in message
    transfusion(f"data prepare --config small.yaml --workers 1 --data.exclude {listed}")
    (records,) = (home / "data_cache").glob("*/records.npy")
    assert (np.load(records)["state"] == 0).sum() == 1


def test_stopped_by_hand(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(data_base, "build_cache", stop)
    with pytest.raises(SystemExit) as end:
        transfusion("data prepare --config small.yaml")
    assert end.value.code == 130
    assert capsys.readouterr().err == "Stopped. The same command goes on from here.\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("data prepair", "Did you mean prepare?"),
        ("data prepare --config small.yaml --size big", "'big' is neither a number of pixels nor HEIGHTxWIDTH"),
        ("data prepare --config small.yaml --size", "expected one argument"),
        ("data prepare --config small.yaml --workers -1", "--workers must be at least 0"),
        ("data prepare --config small.yaml --sise 3", "'sise'"),
    ],
)
def test_mistakes(command, expected, capsys):
    assert expected in mistake(command, capsys)


def test_help(capsys):
    transfusion("data --help")
    said = capsys.readouterr().out
    assert all(f"\n  {action} " in said for action in ("check", "prepare", "show"))
    with pytest.raises(SystemExit) as end:
        transfusion("data prepare --help")
    assert end.value.code == 0
    assert "--size" in capsys.readouterr().out


VOLUMES = """\
data:
  class_path: support.volume_files.DrawnVolumes
  init_args: {root: volumes, num_workers: 0, batch_size: 2}
"""


def test_volumes(home, capsys):
    build_volumes(home / "volumes")
    (home / "volumes.yaml").write_text(VOLUMES)
    transfusion("data prepare --config volumes.yaml --workers 1 --trust support")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("5 cases, 0.") and said[1].startswith("They are in data_cache/volumes-")
    assert said[2] == "Use them: transfusion fit --config volumes.yaml --data.cache data_cache"
    assert "not to a --size" in mistake("data prepare --config volumes.yaml --size 32 --trust support", capsys)
