import pickle

import numpy as np
import pytest
from PIL import Image
from support.retina import draw_field, save_mask, save_retina

from transfusion_cli.data.masks.images import ImageCaseReader
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.datasets.families.field_of_view import field_of_view
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE


def table(paths, masks, fields=None):
    none = np.zeros((len(paths), 0), np.float32)
    split = np.full(len(paths), "train")
    return SampleTable(as_text(paths), none, split, paths=as_text(paths), masks=as_text(masks), fields=fields)


@pytest.fixture
def folder(tmp_path):
    save_mask(tmp_path / "a_mask.png", save_retina(tmp_path / "a.png", 1))
    save_mask(tmp_path / "a_fov.gif", draw_field())
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_a_case_and_its_field_of_view(folder, channels):
    vessels, field = (np.asarray(Image.open(folder / f"a_{name}")) > 0 for name in ("mask.png", "fov.gif"))
    plain = ImageCaseReader(folder, table(["a.png"], ["a_mask.png"]), MaskValues(), channels).whole(0)
    assert plain.image.shape == (channels, *vessels.shape) and plain.image.dtype == np.uint8
    assert (plain.mask == vessels).all() and (plain.truth == vessels).all()
    told = table(["a.png"], ["a_mask.png"], as_text(["a_fov.gif"]))
    given = ImageCaseReader(folder, told, MaskValues(), channels).whole(0)
    assert (given.truth == np.where(field, vessels, IGNORE)).all()
    assert (given.mask == (field & vessels)).all()  # what lies outside is background to learn
    reader = ImageCaseReader(folder, table(["a.png"], ["a_mask.png"]), MaskValues(), channels, None, field_of_view)
    found = pickle.loads(pickle.dumps(reader)).whole(0).truth
    assert ((found != IGNORE) == field).mean() > 0.97 and (found[found != IGNORE] == vessels[found != IGNORE]).all()


def test_without_a_mask(folder):
    case = ImageCaseReader(folder, table(["a.png"], [""]), MaskValues(), 3, find_field=field_of_view).whole(0)
    assert case.mask is None and (case.truth == IGNORE).all()


@pytest.mark.parametrize("kind", ["mask", "fov"])
def test_another_size_names_both_files(folder, kind):
    save_mask(folder / f"a_{kind}.png", np.zeros((72, 79), bool))
    fields = as_text(["a_fov.png"]) if kind == "fov" else None
    reader = ImageCaseReader(folder, table(["a.png"], ["a_mask.png"], fields), MaskValues(), 3)
    with pytest.raises(UserError) as error:
        reader.whole(0)
    told = str(error.value)
    assert f"{folder}/a_{kind}.png has 79 x 72 pixels" in told and f"{folder}/a.png has 80 x 72" in told


def test_masks_are_written_under_the_names_of_their_images(tmp_path):
    paths = ["b/one.jpg", "b/two.jpg", "b/two.png", "/far/../away/three.ppm.gz"]
    masks = ["m/one.TIF", "", "", ""]
    reader = ImageCaseReader(tmp_path, table(paths, masks), MaskValues(threshold=128), 3)
    labels = np.array([[0, 1], [1, 0]], np.uint8)
    written = [reader.write(row, labels, tmp_path / "out") for row in range(4)]
    names = [path.relative_to(tmp_path / "out").as_posix() for path in written]
    assert names == ["b/one.tif", "b/two.jpg.png", "b/two.png.png", "far/away/three.png"]
    assert all(np.asarray(Image.open(path)).tolist() == [[0, 255], [255, 0]] for path in written)


def test_the_field_is_the_largest_bright_part_without_holes():
    image = np.zeros((40, 60, 3), np.uint8)
    image[5:35, 10:40, 0] = 21
    image[15:20, 20:25] = 0
    image[2:6, 50:58, 0] = 200
    expected = np.zeros((40, 60), bool)
    expected[5:35, 10:40] = True
    assert (field_of_view(image) == expected).all()
    assert (field_of_view((image / 255).astype(np.float32)) == expected).all()
    image[..., 1:] = 255
    image[..., 0] = 20
    assert field_of_view(image).all()
