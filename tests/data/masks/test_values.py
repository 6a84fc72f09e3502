import numpy as np
import pytest
from PIL import Image
from support.images import save_dicom

from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE

LABELS = np.array([[0, 0, 1], [1, 2, 0]], np.uint8)


def save(path, values, palette=None):
    image = Image.fromarray(values)
    if palette is not None:
        image = Image.fromarray(values, mode="P")
        image.putpalette(palette)
    image.save(path)
    return path


def refusal(values, path):
    with pytest.raises(UserError) as error:
        values.read(path)
    assert str(path) in str(error.value) and str(error.value).count("\n") < 3
    return str(error.value)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif"])
def test_grey_values_by_a_table(tmp_path, name):
    names, values = MaskValues.of({"0": "background", "10": "liver", "20": "tumour", "30": "ignore", "40": "liver"})
    assert names == ["liver", "tumour"]
    stored = np.array([[0, 10, 20], [30, 40, 0]], np.uint8)
    assert values.read(save(tmp_path / name, stored)).tolist() == [[0, 1, 2], [IGNORE, 1, 0]]


def test_names_alone_count_from_one(tmp_path):
    names, values = MaskValues.of(["liver", "tumour"])
    assert names == ["liver", "tumour"]
    for dtype in (np.uint8, np.uint16, np.int32):
        assert (values.read(save(tmp_path / "a.tif", LABELS.astype(dtype))) == LABELS).all()
    assert (values.read(save_dicom(tmp_path / "a.dcm", LABELS.astype(np.uint16), 12)) == LABELS).all()
    # What label tools write: numbers of a palette, whose colours are for looking at.
    assert (values.read(save(tmp_path / "b.png", LABELS, [0, 0, 0, 128, 0, 0, 0, 128, 0])) == LABELS).all()


def test_a_value_of_no_class_is_counted(tmp_path):
    stored = np.array([[0, 1, 7], [7, 9, 2]], np.uint8)
    told = refusal(MaskValues.of(["a", "b"])[1], save(tmp_path / "a.png", stored))
    assert told.startswith("3 pixels") and "most of them 7 (2 pixels)" in told and "Known are 0, 1, 2" in told


@pytest.mark.parametrize(
    ("stored", "palette"),
    [
        ([[0, 255, 0]], None),
        ([[0, 1, 0]], None),
        ([[3, 253, 3]], None),
        ([[0, 1, 0]], [0, 0, 0, 128, 0, 0]),  # Pascal VOC: a dark red, which is grey 38
        ([[0, 1, 0]], [4, 2, 4, 252, 254, 252]),  # DRIVE
        ([[1, 0, 1]], [255, 255, 255, 0, 0, 0]),
    ],
    ids=["white", "one", "nearly white", "VOC", "DRIVE", "white first"],
)
def test_masks_of_one_class(tmp_path, stored, palette):
    names, values = MaskValues.of(["vessel"])
    path = save(tmp_path / "a.png", np.array(stored, np.uint8), palette)
    assert names == ["vessel"] and values.read(path).tolist() == [[0, 1, 0]]


def test_one_bit_and_nothing_at_all(tmp_path):
    values = MaskValues.of(["vessel"])[1]
    Image.fromarray(np.array([[0, 255, 0]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert values.read(tmp_path / "a.png").tolist() == [[0, 1, 0]]
    assert values.read(save(tmp_path / "b.png", np.zeros((1, 3), np.uint8))).tolist() == [[0, 0, 0]]


def test_soft_edges_are_refused_and_cut_on_demand(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 90, 200, 255]], np.uint8))
    told = refusal(MaskValues.of(["vessel"])[1], path)
    assert told.startswith("2 pixels") and "for example 90" in told and "--data.threshold 128" in told
    assert MaskValues.of(["vessel"], threshold=128)[1].read(path).tolist() == [[0, 0, 1, 1]]


def test_colours_are_classes(tmp_path):
    names, values = MaskValues.of({"255,0,0": "nucleus", "0, 0, 255": "ignore"})
    stored = np.array([[[0, 0, 0], [255, 0, 0], [0, 0, 255]]], np.uint8)
    path = save(tmp_path / "a.png", stored)
    assert names == ["nucleus"] and values.read(path).tolist() == [[0, 1, IGNORE]]
    stored[0, 0] = 255, 1, 0
    assert "255,1,0 (1 pixels)" in refusal(values, save(tmp_path / "b.png", stored))
    assert "in colour" in refusal(MaskValues.of(["a", "b"])[1], path)
    written = values.write(np.array([[0, 1, IGNORE]], np.uint8), tmp_path / "out/c.png")
    assert np.asarray(Image.open(written)).tolist() == [[[0, 0, 0], [255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("name", ["out/a.png", "out/a.tif"])
def test_written_with_the_values_of_the_source(tmp_path, name):
    for classes, expected in (
        (["a", "b"], [[0, 0, 1], [1, 2, 0]]),
        ({"1000": "a", "7": "b"}, [[0, 0, 1000], [1000, 7, 0]]),
    ):
        values = MaskValues.of(classes)[1]
        path = values.write(LABELS, tmp_path / name)
        assert np.asarray(Image.open(path)).tolist() == expected
        assert (values.read(path) == LABELS).all()
    one = MaskValues.of(["a"])[1].write(np.array([[0, 1]], np.uint8), tmp_path / name)
    assert np.asarray(Image.open(one)).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("classes", "threshold", "message"),
    [
        ([], None, "names no class"),
        ({"0": "background"}, None, "names no class"),
        ({"red": "a"}, None, "'red' is no value"),
        ({"1,2,300": "a"}, None, "is no value"),
        ({"1": "a", "0,0,255": "b"}, None, "grey values and colours"),
        (["a", "b"], 100, "threshold is for masks of one class"),
        (["a", "a"], None, "different names"),
    ],
)
def test_classes_that_say_nothing(classes, threshold, message):
    with pytest.raises(UserError, match=message):
        MaskValues.of(classes, threshold)


def test_files_that_are_no_masks(tmp_path):
    values = MaskValues.of(["a"])[1]
    assert "not found" in refusal(values, tmp_path / "absent.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "Not a readable mask" in refusal(values, tmp_path / "broken.png")
    (tmp_path / "broken.dcm").write_bytes(b"nothing")
    assert "Not a readable mask" in refusal(values, tmp_path / "broken.dcm")
    assert "fractions" in refusal(values, save(tmp_path / "a.tif", np.array([[0, 0.5]], np.float32)))
