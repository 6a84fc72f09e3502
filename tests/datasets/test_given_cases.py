import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.retina import save_retina

from transfusion_cli.cli.config.resume import for_images
from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.datasets import CHASEDB1DataModule, MaskTableDataModule
from transfusion_cli.datasets.given_cases import GivenCases
from transfusion_cli.errors import UserError
from transfusion_cli.reports.mask_writer import MaskWriter
from transfusion_cli.run_folder import RunFolder
from transfusion_cli.tasks.case_prediction import CasePrediction
from transfusion_cli.tasks.segmentation import SegmentationTask

LIKE = MaskTableDataModule(root="gone", classes={"7": "disc", "9": "cup"}, channels=1, patch_size=24)


def given(path, like=LIKE):
    return GivenCases(str(path), like, "mask", ["disc", "cup"], num_workers=0, batch_size=2)


@pytest.fixture
def folder(tmp_path):
    save_retina(tmp_path / "in/a.jpg", 1)
    save_retina(tmp_path / "in/deep/b.png", 2, size=(30, 50))
    (tmp_path / "in/broken.png").write_text("nothing")
    save_retina(tmp_path / "in/__MACOSX/c.png", 3)
    return tmp_path / "in"


def test_a_folder_is_read_and_written_as_the_run_does(folder, tmp_path):
    data = given(folder)
    data.setup("predict")
    assert (data.size, data.dims, data.class_names) == ((24, 24), 2, ["disc", "cup"])
    cases = {int(batch["index"][0]): batch["cases"][0] for batch in data.predict_dataloader()}
    names = data.samples.ids.tolist()
    assert names == ["a.jpg", "broken.png", "deep/b.png"] and sorted(cases) == [-2, 0, 2]
    assert cases[2]["image"].shape == (1, 30, 50) and (cases[2]["truth"] == IGNORE).all()
    assert cases[-2]["image"].shape == (1, 24, 24) and not cases[-2]["image"].any()
    labels = np.zeros((30, 50), np.uint8)
    labels[3], labels[4] = 1, 2
    written = data.case_reader("predict").write(2, labels, tmp_path / "out")
    assert written == tmp_path / "out/deep/b.png"
    assert np.unique(np.asarray(Image.open(written))).tolist() == [0, 7, 9]


def test_what_cannot_be_read_takes_no_other_s_place(folder, tmp_path):
    data = given(folder)
    data.setup("predict")
    writer, task = MaskWriter(RunFolder(tmp_path)), SegmentationTask(class_names=["disc", "cup"])
    writer.masks = tmp_path / "masks"
    for batch in data.predict_dataloader():
        shape = batch["cases"][0]["truth"].shape
        predictions = [CasePrediction.blank(2, shape, scores=False, probabilities=False)]
        writer.on_predict_batch_end(SimpleNamespace(datamodule=data), task, {"predictions": predictions}, batch)
    written = {path.relative_to(writer.masks).as_posix() for path in writer.masks.rglob("*.png")}
    assert written == {"a.png", "deep/b.png", "overlays/a.png", "overlays/deep/b.png"}


def test_one_image_and_none(folder, tmp_path):
    data = given(folder / "deep/b.png", CHASEDB1DataModule(root="gone", channels=3))
    assert data.samples.ids.tolist() == ["b.png"] and data.size == (256, 256)
    assert next(iter(data.predict_dataloader()))["cases"][0]["image"].shape == (3, 30, 50)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in"):
        _ = given(tmp_path / "empty").samples


@pytest.mark.parametrize(
    ("target", "expected"), [("mask", "GivenCases"), ("regions", "GivenCases"), ("binary", "GivenImages")]
)
def test_the_command_takes_what_the_run_was_trained_for(tmp_path, target, expected):
    config = tmp_path / "config.yaml"
    config.write_text("data: {class_path: MyDataModule, init_args: {root: x, num_workers: 1, image_size: 64}}\n")
    flags = for_images(config, {"target": target, "class_names": ["a"]}, "folder", ["--input", "folder"])
    section = json.loads(flags[1])["data"]
    assert section["class_path"].endswith(expected) and section["init_args"]["num_workers"] == 1
    # Phantoms with masks have one too: it is how large they are drawn, not how images are read.
    assert ("image_size" in section["init_args"]) == (expected == "GivenImages")
