"""``transfusion list``."""

import pytest
import timm

import transfusion_cli.strategies as strategies
from transfusion_cli.cli import listing
from transfusion_cli.cli.main import main
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.open_files import OpenFilesDataModule
from transfusion_cli.data.volumes.base import VolumeDataModule
from transfusion_cli.datasets.external import ExternalData
from transfusion_cli.datasets.families.cases import ListedCasesDataModule
from transfusion_cli.datasets.families.fundus import FundusDataModule
from transfusion_cli.datasets.families.nnunet_layout import NNUNetLayout
from transfusion_cli.datasets.families.skin_images import SkinImagesDataModule
from transfusion_cli.datasets.families.vessels import VesselDataModule
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule
from transfusion_cli.datasets.given_cases import GivenCases
from transfusion_cli.datasets.given_images import GivenImages


def listed(capsys, *args):
    main(["list", *args])
    lines = capsys.readouterr().out.splitlines()
    return {line.split("  ")[0].strip(): line for line in lines if not line.startswith(" ")}


def test_strategies_are_those_of_the_package(capsys):
    names = listed(capsys, "strategies")
    public = {name for name in strategies.__all__ if isinstance(getattr(strategies, name), type)}
    contracts = {"Phase", "PhasedStrategy", "TransferStrategy"}
    assert set(names) == public - contracts
    assert "BatchNorm scale and shift" in names["BatchNormAffine"]


CONTRACTS = (
    MedicalDataModule,
    ImageFilesDataModule,
    OpenFilesDataModule,
    FundusDataModule,
    SkinImagesDataModule,
    MaskDataModule,
    ImageMaskDataModule,
    VolumeDataModule,
    ListedCasesDataModule,
    VolumeCasesDataModule,
    NNUNetLayout,
    VesselDataModule,
    GivenCases,  # of predict --input
    GivenImages,
    ExternalData,  # of test --label_map
)


def test_datasets_are_those_that_can_be_imported(capsys):
    from transfusion_cli.cli.config.names import import_all

    import_all()
    found, todo = set(), [MedicalDataModule]
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if cls.__module__.startswith("transfusion_cli.") and cls not in CONTRACTS:
            found.add(cls.__name__)
    assert set(listed(capsys, "datasets")) == found
    assert "CheXpertDataModule" in found


def test_source_is_parsed_through_chains_of_bases_in_several_files(tmp_path):
    (tmp_path / "base.py").write_text("class Base: pass\nclass Middle(Base):\n    'A contract.'")
    (tmp_path / "one.py").write_text(
        "class One(base.Middle):\n    '''First line.\n\n    More.'''\nclass _Own(One): pass"
    )
    (tmp_path / "other.py").write_text("class Other: pass\nclass Two(One): pass")
    assert list(listing.descendants("Base", tmp_path)) == [("One", "First line.\n\nMore."), ("Two", "")]


def test_backbones_take_patterns(capsys):
    names = listed(capsys, "backbones", "resnet1*", "cifar_resnet20")
    assert {"resnet18", "cifar_resnet20"} <= set(names)
    assert names["resnet18"].endswith("pretrained")
    assert set(names) == set(timm.list_models(["resnet1*", "cifar_resnet20"]))


def test_backbones_by_a_part_of_their_names(capsys):
    names = listed(capsys, "backbones", "cifar")
    assert names and set(names) == set(timm.list_models("*cifar*"))
    assert set(listed(capsys, "backbones", "resnet18")) == {"resnet18"}


def test_configs_come_with_the_first_line_of_their_header(capsys, tmp_path, monkeypatch):
    (tmp_path / "configs" / "parts").mkdir(parents=True)
    (tmp_path / "configs" / "one.yaml").write_text("# What it is.\n# More.\ndata: X\n")
    (tmp_path / "configs" / "two.yaml").write_text("data: X\n")
    (tmp_path / "configs" / "parts" / "shared.yaml").write_text("# Not to be run.\n")
    monkeypatch.setattr("transfusion_cli.cli.config.shipped.configs_folder", lambda: tmp_path / "configs")
    assert listed(capsys, "configs") == {"one": "one  What it is.", "two": "two"}
    monkeypatch.chdir(tmp_path)
    assert list(listed(capsys, "configs")) == ["configs/one.yaml", "configs/two.yaml"]


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (["strategy"], "Did you mean strategies?"),
        ([], "Choose from: backbones, configs, datasets, strategies"),
        (["backbones", "resnett50"], "Did you mean resnet50?"),
        (["configs", "demo"], "nothing more"),
    ],
)
def test_mistakes(args, advice, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["list", *args])
    assert stop.value.code == 2
    assert advice in capsys.readouterr().err
