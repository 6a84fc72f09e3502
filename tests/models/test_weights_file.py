from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.runs import make_task

from transfusion_cli.errors import UserError
from transfusion_cli.models.weights_file import read_weights
from transfusion_cli.tasks.delta import save_delta

STATE = {"conv.weight": torch.arange(8.0).reshape(2, 4), "bn.num_batches_tracked": torch.tensor(5)}


class Code:
    """Unpickling it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def same(read: dict[str, torch.Tensor]) -> bool:
    return read.keys() == STATE.keys() and all(torch.equal(read[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th", ".bin", ".ckpt"])
@pytest.mark.parametrize(
    "container",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "best_prec1": 91.0},
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"model": {"state_dict": state}, "optimizer": {"state": {}}},
        lambda state: {"state_dict": {"other": torch.zeros(1)}, "state_dict_ema": state},
        lambda state: {"net": state, "epoch": 3},
        lambda state: {"network_weights": state, "init_args": {"configuration": "3d_fullres"}},
    ],
)
def test_pytorch_containers(tmp_path: Path, suffix: str, container) -> None:  # type: ignore[no-untyped-def]
    torch.save(container(STATE), tmp_path / f"weights{suffix}")
    assert same(read_weights(tmp_path / f"weights{suffix}").tensors)


def test_files_of_old_pytorch(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE}, tmp_path / "old.th", _use_new_zipfile_serialization=False)
    assert same(read_weights(tmp_path / "old.th").tensors)


def test_safetensors_with_facts(tmp_path: Path) -> None:
    metadata = {"format": "pt", "mean": json.dumps([0.1, 0.2, 0.3]), "input_size": "[3, 32, 32]"}
    save_file(STATE, tmp_path / "w.safetensors", metadata)
    weights = read_weights(str(tmp_path / "w.safetensors"))
    assert same(weights.tensors)
    assert weights.facts == {"mean": (0.1, 0.2, 0.3), "input_size": (3, 32, 32)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_that_are_not_finite(tmp_path: Path, value: float, dtype: torch.dtype, suffix: str) -> None:
    broken = torch.ones(3, 2, dtype=dtype)
    broken[1, 1] = value
    path = tmp_path / f"w{suffix}"
    write = save_file if suffix == ".safetensors" else torch.save
    write(STATE | {"layer1.bn.weight": broken}, path)
    with pytest.raises(UserError, match=r"NaN or infinity, in layer1\.bn\.weight\n") as error:
        read_weights(path)
    assert str(path) in str(error.value) and len(str(error.value).splitlines()) == 3
    write(STATE | {name: broken.clone() for name in "abc"}, path)
    with pytest.raises(UserError, match="in a and 2 more of its 5 tensors"):
        read_weights(path)


def test_a_delta_checkpoint_is_no_weights_file(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    task.build()
    path = tmp_path / "checkpoints" / "delta.safetensors"
    path.parent.mkdir()
    save_delta(task, path)
    with pytest.raises(UserError, match="what a run changed, not whole weights") as error:
        read_weights(path)
    _, test, start = str(error.value).splitlines()
    assert test.endswith(f"--ckpt_path {path}")
    assert start.endswith(f"--model.pretrained {path.with_name('best.ckpt')}")


@pytest.mark.parametrize("mean", ["0.5, 0.5", "0.5", '["a"]', "null"])
def test_facts_that_are_no_numbers(tmp_path: Path, mean: str) -> None:
    save_file(STATE, tmp_path / "w.safetensors", {"mean": mean})
    with pytest.raises(UserError, match="metadata mean"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "written-by-the-checkpoint"
    torch.save({"state_dict": STATE, "x": Code(target)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="pickled code") as error:
        read_weights(tmp_path / "w.pth")
    assert not target.exists()
    assert len(str(error.value).splitlines()) <= 3


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Code(tmp_path / "written")))
    with pytest.raises(UserError, match="pickled code"):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".th"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_truncated(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"w{suffix}"
    if suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=suffix == ".pth")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(UserError, match="cannot be read") as error:
        read_weights(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_something_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_text("<!DOCTYPE html>\n<title>404</title>\n" * 20)
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.zeros(1)], torch.zeros(2)])
def test_no_tensors(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UserError, match="No tensors"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["absent.pth", "."])
def test_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"no weights file at .*\nGive --model.pretrained FILE"):
        read_weights(tmp_path / name)


def test_missing_with_a_known_source(tmp_path: Path) -> None:
    message = (
        r"no weights file at .*resnet20-12fca82f.th\nIt is one of github.com/akamaster/pytorch_resnet_cifar10.*\nGive"
    )
    with pytest.raises(UserError, match=message):
        read_weights(tmp_path / "resnet20-12fca82f.th")


def test_what_nnu_net_saves_twice_is_read_once(tmp_path: Path) -> None:
    weight, scale = torch.rand(2, 3), torch.rand(2)
    block = "stages.0.convs.0."
    names = {
        f"{place}{block}{layer}": tensor
        for place in ("encoder.", "decoder.encoder.", "decoder.")
        for layer, tensor in {
            "conv.weight": weight,
            "norm.weight": scale,
            "all_modules.0.weight": weight,
            "all_modules.1.weight": scale,
        }.items()
    }
    alone = {"decoder.seg_layers.0.weight": weight, "other.all_modules.0.weight": weight, "decoder.encoder.x.w": scale}
    torch.save({"network_weights": names | alone}, tmp_path / "checkpoint_final.pth")
    kept = {f"{place}.{block}{layer}.weight" for place in ("encoder", "decoder") for layer in ("conv", "norm")}
    assert set(read_weights(tmp_path / "checkpoint_final.pth").tensors) == kept | set(alone)
