"""Looking over images and volumes with masks: every fault that can be planted is found and named."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from support.drawn_cases import DrawnCases
from support.niftis import AFFINE, ball, save_nifti
from support.retina import save_mask, save_retina
from support.volume_layouts import lits, nnunet

from transfusion_cli.datasets import LiTSDataModule, MaskTableDataModule, NNUNetDataModule
from transfusion_cli.inspection.depth import depth_remark
from transfusion_cli.inspection.missing import missing_remark, missing_rows
from transfusion_cli.inspection.report import inspect


@pytest.fixture
def photographs(tmp_path):
    """Twelve photographs with masks; nothing is wrong with them."""
    for number in range(12):
        part = "train" if number < 8 else "val" if number < 10 else "test"
        vessels = save_retina(tmp_path / f"images/{part}/{number:02d}.png", number)
        save_mask(tmp_path / f"masks/{part}/{number:02d}.png", vessels)
    return tmp_path


def module(root, **kwargs):
    return MaskTableDataModule(root=str(root), num_workers=0, patient_column="none", **kwargs)


def look(data, workers=0):
    report = inspect(data, workers, progress=False)
    return report, {finding.kind: finding for finding in reversed(report.findings)}


def test_clean_masks(photographs):
    report, found = look(module(photographs), workers=2)
    assert set(found) <= {"patients"}
    train = report.counts["train"]
    vessels = [np.asarray(Image.open(path)) > 0 for path in sorted((photographs / "masks/train").iterdir())]
    assert train["images"] == train["masks"] == train["classes"]["foreground"] == 8
    assert train["share_of_voxels"]["foreground"] == pytest.approx(np.mean(vessels)) and train["ignored"] == 0
    assert not len(report.surplus()) and not len(report.problems())


def test_every_fault_of_images_with_masks(photographs):
    images, masks = photographs / "images/train", photographs / "masks/train"
    content = (masks / "00.png").read_bytes()
    (masks / "00.png").write_bytes(content[: len(content) // 2])
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(masks / "01.png")
    Image.fromarray(np.full((72, 80), 100, np.uint8)).save(masks / "02.png")
    Image.fromarray(np.zeros((72, 80), np.uint8)).save(masks / "03.png")
    shutil.copy(images / "04.png", photographs / "images/test/10.png")
    shutil.copy(masks / "04.png", photographs / "masks/test/10.png")
    shutil.copy(images / "05.png", images / "06.png")  # under another mask
    report, found = look(module(photographs))
    told = {
        "unreadable": ("error", "1 images cannot be read: images/train/00.png"),
        "misplaced-masks": ("error", "masks/train/01.png has 12 x 10 pixels"),
        "unknown-values": ("error", "neither black nor white, for example 100"),
        "empty-masks": ("note", "1 masks are empty (train 1 of 5, val 0 of 2, test 0 of 2)"),
        "duplicates-across-splits": ("error", "images/test/10.png = images/train/04.png"),
        "conflicting-labels": ("error", "have different masks"),
    }
    assert set(told) <= set(found)
    for kind, (level, text) in told.items():
        assert found[kind].level == level and text in found[kind].message, found[kind]
    problems = report.problems().set_index("id")["problem"]
    assert problems["images/train/01.png"] == "misplaced-mask" and problems["images/train/03.png"] == "empty-mask"
    left_out = photographs / "exclude.txt"
    left_out.write_text("\n".join(report.surplus()))
    again, found = look(module(photographs, exclude=str(left_out)))
    assert not again.has_errors and "empty-masks" in found


def test_a_class_that_is_never_there_and_masks_that_are_not(photographs):
    _, found = look(module(photographs, classes={"255": "vessel", "7": "lesion"}))
    assert "No training sample has lesion" in found["absent-class"].message and found["absent-class"].level == "error"
    table = photographs / "cases.csv"
    rows = ["image,mask,split", *(f"images/train/{n:02d}.png,masks/train/{n:02d}.png,train" for n in range(7))]
    rows += [
        "images/val/08.png,masks/val/08.png,val",
        "images/test/10.png,,test",
        "images/test/11.png,masks/test/11.png,test",
    ]
    table.write_text("\n".join(rows))
    report, found = look(module(photographs, table=str(table)))
    assert found["no-mask"].message == "1 images have no mask (train 0, val 0, test 1): images/test/10.png"
    assert report.surplus().tolist() == ["images/test/10.png"]


def test_files_that_are_not_there_and_images_of_fewer_bits(photographs):
    data = module(photographs)
    assert missing_remark(data) is None and depth_remark(data) is None
    for number in range(12):
        for path in photographs.glob(f"images/*/{number:02d}.png"):
            pixels = np.random.default_rng(number).integers(0, 4096, (72, 80)).astype(np.uint16)
            Image.fromarray(pixels).save(path)
    assert "12-bit images in 16-bit files" in depth_remark(module(photographs, channels=1))
    report, found = look(module(photographs, channels=1))
    assert "12-bit" in found["depth"].message and report.images["kinds"] == {"16-bit grey": 12}
    (photographs / "masks/train/03.png").unlink()
    assert data.samples.ids[missing_rows(data)].tolist() == ["images/train/03.png"]
    assert f"1 of 12 images are not there, for example {photographs}/masks/train/03.png" in missing_remark(data)
    report, found = look(data)
    assert found["missing"].message == "1 files are missing: images/train/03.png"


def test_masks_that_lie_elsewhere(tmp_path):
    lits.build(tmp_path)
    _, found = look(LiTSDataModule(root=str(tmp_path), num_workers=0))
    assert "1 masks lie elsewhere than their images by their headers" in found["moved-masks"].message
    assert "1 masks are empty" in found["empty-masks"].message and "misplaced-masks" not in found
    report, found = look(LiTSDataModule(root=str(tmp_path), num_workers=0, geometry="agree"))
    apart = found["misplaced-masks"]
    assert apart.level == "error" and "segmentation-9.nii" in apart.message and "--data.geometry image" in apart.advice
    assert report.images["spacing"]["z"]["max"] == 3 and report.images["spacing"]["x"]["min"] == 1.5


def test_faults_of_volumes(tmp_path):
    place = nnunet.build(tmp_path, labels={"background": 0, "ball": 1, "core": 2, "vein": 3})
    one, two, three = nnunet.NAMES[:3]
    image, mask = ball(3)
    save_nifti(place / f"labelsTr/{one}.nii.gz", mask + np.uint8(7) * (mask > 1))  # 9 is no label
    (place / f"imagesTr/{three}_0000.nii.gz").write_bytes(b"nothing")
    flat = nnunet.NAMES[4]
    save_nifti(place / f"imagesTr/{flat}_0000.nii.gz", np.full_like(image, -1000), np.diag([2, 2, 2, 1]) * AFFINE[3, 3])
    data = NNUNetDataModule(root=str(place), num_workers=0, patient_pattern=r"(patient\d+)_")
    report, found = look(data)
    assert one in found["unknown-values"].message and "9, which is no label" in found["unknown-values"].message
    assert found["unreadable"].message.startswith(f"1 cases cannot be read: {three}")
    assert flat in found["misplaced-masks"].message and "spacing 3 x 1.5 x 1.5 mm" in found["misplaced-masks"].message
    assert "No training sample has vein" in found["absent-class"].message
    assert "1 masks are empty" in found["empty-masks"].message and two in found["empty-masks"].message
    assert set(report.surplus()) == {one, three, flat}
    assert json.dumps(report.as_dict())
    (place / f"labelsTr/{two}.nii.gz").unlink()
    assert data.samples.ids[missing_rows(data)].tolist() == [two]


def test_regions_are_sums_of_labels():
    class Regions(DrawnCases):
        target = "regions"
        regions = property(lambda self: [[1, 2], [2]])

    report, _ = look(Regions())
    whole = inspect(DrawnCases(), 0, progress=False).counts["train"]["share_of_voxels"]
    found = report.counts["train"]["share_of_voxels"]
    assert found["box"] == pytest.approx(whole["box"] + whole["core"]) and found["core"] == whole["core"]
