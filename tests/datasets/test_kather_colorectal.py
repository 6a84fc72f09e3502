import numpy as np
import pytest
from support.images import save_picture
from support.layouts.kather_colorectal import FOLDERS, RARE, build

from transfusion_cli.datasets import KatherColorectalDataModule
from transfusion_cli.errors import UserError

TILES = 6 * 10 + 2 * 5 + 2 * 3


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kather"))


def module(root, **kwargs):
    return KatherColorectalDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def slides(table, split):
    return set(table.patients[table.split == split])


@pytest.mark.parametrize("at", ["", "Kather_texture_2016_image_tiles_5000"])
def test_reads_the_eight_folders_and_nothing_else(root, at):
    data = module(root / at)
    table = data.samples
    assert len(table) == TILES
    assert data.class_names == [folder[3:] for folder in FOLDERS]
    assert [FOLDERS[label] for label in table.targets] == [path.split("/")[0] for path in table.paths]


def test_parts_and_copies_belong_to_their_slide(root):
    table = module(root).samples
    assert set(table.patients) == {f"HE-{number:02d}" for number in range(1, 11)}
    tenth = {path.split("_")[2].split(".")[0] for path in table.paths[table.patients == "HE-10"]}
    assert {"CRC-Prim-HE-10", "CRC-Prim-HE-10b", "CRC-Prim-HE-10c"} <= tenth


def test_folds_hold_every_slide_out_once(root):
    tested = []
    for fold in range(5):
        table = module(root, fold=fold).samples
        tested += slides(table, "test")
        assert len(slides(table, "test")) == 2 and len(slides(table, "val")) == 1
        assert slides(table, "train").isdisjoint(slides(table, "test") | slides(table, "val"))
        assert set(table.targets[table.rows("train")]) == set(range(8))
    assert len(tested) == len(set(tested)) == 10


@pytest.mark.parametrize("name", [8, "8", "08"])
def test_one_slide_left_out(root, name, caplog):
    table = module(root, test_slide=name).samples
    assert slides(table, "test") == {"HE-08"}
    assert (table.split[table.patients == "HE-08"] == "test").all()
    assert "test split have no tile of ADIPOSE, EMPTY" in caplog.text
    with pytest.raises(UserError, match=r"(?s)No tile of slide 11.*Slides there: 01, 02"):
        _ = module(root, test_slide=11).samples


@pytest.mark.parametrize("name", ["7", "07", "08"])
def test_slides_as_they_are_typed(root, name):
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(KatherColorectalDataModule, "data")
    config = parser.parse_args([f"--data.root={root}", f"--data.test_slide={name}"])
    table = parser.instantiate_classes(config).data.samples
    assert slides(table, "test") == {f"HE-{name.zfill(2)}"}


def test_a_split_that_leaves_a_class_nothing_to_train_on_is_refused(tmp_path):
    root = build(tmp_path)
    for slide in RARE["08_EMPTY"][1:]:
        for path in (root / "Kather_texture_2016_image_tiles_5000/08_EMPTY").glob(f"*HE-{slide:02d}*"):
            path.unlink()
    with pytest.raises(UserError, match=r"no training tile of EMPTY, found only on slides HE-02\n.*\n.*split_seed"):
        _ = module(root, test_slide=2).samples
    assert slides(module(root, test_slide=1).samples, "test") == {"HE-01"}


def test_protocol_of_the_paper_by_slide(root):
    table = module(root, protocol="partial_transfusion").samples
    # 15 % are 11.4 tiles, and slides have 6 to 10: two for each held-out split.
    assert [len(slides(table, split)) for split in ("train", "val", "test")] == [6, 2, 2]
    for split in ("val", "test"):
        assert round(0.15 * TILES) <= (table.split == split).sum() <= round(0.15 * TILES) + 10


def test_protocol_of_the_paper_with_its_leak(root, caplog):
    table = module(root, protocol="partial_transfusion", literal=True).samples
    counts = [(table.split == split).sum() for split in ("train", "val", "test")]
    assert counts == [TILES - 22, 11, 11]
    assert len(slides(table, "train") & slides(table, "test")) > 2
    assert "tiles of every slide are in training, validation and test" in caplog.text
    again = module(root, protocol="partial_transfusion", literal=True, split_seed=1).samples
    assert (again.split != table.split).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"literal": True}, "partial_transfusion"),
        ({"test_slide": 3, "protocol": "partial_transfusion"}, "Leave out one"),
        ({"fold": 5}, "No fold 5 of 5"),
        ({"folds": 1}, "2 folds at least"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UserError, match=message):
        KatherColorectalDataModule(**options)


@pytest.mark.parametrize("name", ["tile_7.tif", "1A11_CRC-Prim-HE-107_022.tif_Row_1_Col_1.tif"])
def test_a_tile_without_a_slide_is_an_error(tmp_path, name):
    build(tmp_path)
    save_picture(tmp_path / "Kather_texture_2016_image_tiles_5000/03_COMPLEX" / name, 5)
    with pytest.raises(UserError, match=rf"03_COMPLEX/{name} tells no slide\nExpected .*CRC-Prim-HE-07"):
        _ = module(tmp_path).samples


def test_missing_data_say_where_to_get_them(root, tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), KatherColorectalDataModule()):
        with pytest.raises(UserError, match=r"(?s)KatherColorectal.*zenodo.*01_TUMOR"):
            data.setup("fit")
    other = build(tmp_path)
    for path in (other / "Kather_texture_2016_image_tiles_5000/05_DEBRIS").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"no images in .*05_DEBRIS"):
        _ = module(other).samples


def test_tiles_are_colour(root):
    data = module(root)
    batch = next(iter(data.test_dataloader()))
    assert batch["image"].shape[1:] == (3, 32, 32) and batch["target"].dtype.is_floating_point is False
    assert np.isin(data.samples.targets[batch["index"].numpy()], batch["target"].numpy()).all()
