import gzip

import numpy as np
import pytest
from PIL import Image
from support.mask_layouts.stare import NUMBERS, build
from support.retina import draw_vessels

from transfusion_cli.datasets import STAREDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.targets import IGNORE


@pytest.fixture
def root(tmp_path):
    return build(tmp_path)


def module(root, **kwargs):
    return STAREDataModule(root=str(root), num_workers=0, patch_size=32, **kwargs)


def test_first_and_last_ten_of_those_with_vessels(root):
    table = module(root).samples
    test = [int(name.split("im")[-1][:4]) for name in table.ids[table.rows("test")]]
    assert test == list(NUMBERS[10:]) and len(table) == 20


@pytest.mark.parametrize("observer", ["ah", "vk"])
def test_masks_that_are_not_quite_black_and_white_in_gzipped_files(root, observer):
    data = module(root, observer=observer)
    reader = data.case_reader("train")
    for row in (0, 1, 2, 19):
        case = reader.read(row)
        expected = draw_vessels(NUMBERS[row])
        if observer == "vk":
            expected = expected | draw_vessels(NUMBERS[row] + 1000)
        seen = case.truth != IGNORE
        assert case.image.shape == (3, 72, 80) and 0.4 < seen.mean() < 0.7
        assert (case.truth[seen] == expected[seen]).all()


def test_unpacked_files_read_alike(root):
    packed = [module(root).case_reader("train").read(row) for row in range(3)]
    for path in [*root.glob("*/*.gz")][::2]:  # some of them, beside the packed ones
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    data = module(root)
    assert len(data.samples) == 20 and any(path.endswith(".ppm") for path in data.samples.paths)
    for row, case in enumerate(packed):
        again = data.case_reader("train").read(row)
        assert (again.image == case.image).all() and (again.truth == case.truth).all()


def test_written_masks_have_one_ending(root, tmp_path):
    written = module(root).case_reader("train").write(0, np.zeros((72, 80), np.uint8), tmp_path / "out")
    assert written.name == "im0001.png" and np.asarray(Image.open(written)).shape == (72, 80)


def test_what_is_missing_or_damaged_is_told(root):
    (root / "labels-vk/im0001.vk.ppm.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(UserError, match="Not a readable mask"):
        module(root, observer="vk").case_reader("train").read(0)
    (root / "stare-images/im0002.ppm.gz").unlink()
    with pytest.raises(UserError, match=r"no im0002.ppm.gz in .*stare-images"):
        _ = module(root).samples
