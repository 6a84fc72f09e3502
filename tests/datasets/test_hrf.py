import pytest
from support.mask_layouts.hrf import build
from support.retina import draw_field, draw_vessels

from transfusion_cli.datasets import HRFDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE


@pytest.fixture(params=[False, True], ids=["all in one", "zips"])
def root(request, tmp_path):
    return build(tmp_path, zips=request.param)


def module(root, **kwargs):
    return HRFDataModule(root=str(root), num_workers=0, patch_size=32, **kwargs)


def test_five_of_each_group_train(root):
    table = module(root).samples
    assert set(table.domains) == {"healthy", "diabetic_retinopathy", "glaucoma"}
    for group in set(table.domains):
        numbers = [
            int(name.split("/")[-1][:2]) for name in table.ids[(table.domains == group) & (table.split == "test")]
        ]
        assert numbers == list(range(6, 16))
    assert len(table) == 45 and len(table.rows("val")) == 2


def test_vessels_and_field_belong_to_their_image(root):
    data = module(root)
    reader = data.case_reader("train")
    for row, path in enumerate(data.samples.ids):
        name = path.split("/")[-1]
        seed = 100 * ["h", "dr", "g"].index(name.split("_")[1].split(".")[0]) + int(name[:2])
        truth = reader.read(row).truth
        assert ((truth == IGNORE) == ~draw_field()).all()
        assert (truth[draw_field()] == draw_vessels(seed)[draw_field()]).all()


def test_what_is_missing_is_told(root):
    next(root.glob("*/01_g_mask.tif")).unlink()
    with pytest.raises(UserError, match="no field of view of 01_g"):
        _ = module(root).samples
    next(root.glob("*/02_dr.JPG")).unlink()
    with pytest.raises(UserError, match="no image of 02_dr"):
        _ = module(root).samples


def test_one_layout_is_enough(tmp_path):
    build(tmp_path)
    build(tmp_path, zips=True)
    with pytest.raises(UserError, match="an image is there twice"):
        _ = module(tmp_path).samples
