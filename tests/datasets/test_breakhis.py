import numpy as np
import pytest
from support.images import save_picture
from support.layouts.breakhis import SLIDES, build

from transfusion_cli.datasets import BreaKHisDataModule
from transfusion_cli.errors import UserError

IMAGES = 8 * 3 * 4


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("breakhis"))


def module(root, **kwargs):
    return BreaKHisDataModule(root=str(root), num_workers=0, image_size=32, batch_size=8, **kwargs)


def images(table, *slides):
    """Rows of slides such as ``LC-14-13412``."""
    return np.array([any(f"_{slide}-" in path for slide in slides) for path in table.paths])


@pytest.mark.parametrize("at", ["", "BreaKHis_v1"])
def test_benign_or_malignant(root, at):
    data = module(root / at)
    table = data.samples
    assert len(table) == IMAGES and data.target == "binary"
    assert (table.targets[:, 0] == ["malignant" in path for path in table.paths]).all()
    assert set(table.split) == {"train", "val", "test"}


def test_eight_subtypes(root):
    data = module(root, subtypes=True)
    table = data.samples
    assert [data.class_names[label] for label in table.targets] == [path.split("/")[4] for path in table.paths]
    assert len(set(table.targets)) == 8
    assert len(set(table.targets[table.rows("val")])) > 1


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("options", [{}, {"fold": 1, "folds": 3}, {"fold": 2, "folds": 3}, {"fold": 2}])
def test_patients_stay_together(root, merge, options):
    table = module(root, merge_lettered=merge, **options).samples
    for patient in set(table.patients):
        assert len(set(table.split[table.patients == patient])) == 1
    names = {slide for slides in SLIDES.values() for slide in slides}
    assert len(set(table.patients)) == (23 if not merge else len({name.rstrip("ABCDEFG") for name in names}))
    both = images(table, "PT-14-21998AB", "F-14-21998CD")
    assert both.sum() == 8 and len(set(table.patients[both])) == (1 if merge else 2)


def test_a_name_under_two_subtypes_is_one_patient(root):
    for options in ({}, {"merge_lettered": False}, {"subtypes": True, "drop_ambiguous": False}):
        table = module(root, **options).samples
        both = images(table, "DC-14-13412", "LC-14-13412")
        assert both.sum() == 8 and set(table.patients[both]) == {"14-13412"}


def test_ambiguous_images_are_dropped_where_labels_contradict(root):
    for options, dropped in (
        ({}, False),
        ({"subtypes": True}, True),
        ({"subtypes": True, "drop_ambiguous": False}, False),
        ({"drop_ambiguous": True}, True),
    ):
        table = module(root, **options).samples
        assert images(table, "DC-14-13412").sum() == (0 if dropped else 4)
        assert images(table, "LC-14-13412").sum() == 4
        assert len(table) == IMAGES - 4 * dropped


def test_magnifications(root):
    table = module(root).samples
    assert set(table.domains) == {"40X", "100X", "200X", "400X"}
    assert all(f"/{domain}/" in path for domain, path in zip(table.domains, table.paths, strict=True))
    one = module(root, magnification=40).samples
    assert len(one) == IMAGES / 4 and all("/40X/" in path for path in one.paths) and one.domains is None


def test_published_folds(root):
    table = module(root, fold=2).samples
    tested = images(table, "TA-14-13200", "DC-14-2523", "PC-14-190EF")
    assert (table.split[tested] == "test").all() and not (table.split[~tested] == "test").any()
    assert set(table.split[~tested]) == {"train", "val"}


def test_published_test_patients_are_left_out_of_training(root, caplog):
    caplog.set_level("INFO")
    table = module(root, fold=1).samples
    assert (table.split[images(table, "LC-14-13412", "TA-14-16184CD")] == "test").all()
    assert (table.split[images(table, "DC-14-13412", "TA-14-16184")] == "").all()
    assert (table.split == "").sum() == 8
    assert "8 training images left out" in caplog.text and "14-13412, 14-16184" in caplog.text
    table = module(root, fold=1, merge_lettered=False).samples
    assert (table.split[images(table, "DC-14-13412")] == "").all() and (table.split == "").sum() == 4
    table = module(root, fold=1, subtypes=True, merge_lettered=False).samples
    assert not (table.split == "").any()


@pytest.mark.parametrize("place", ["", "mkfold", "BreaKHis_v1", "BreaKHis_v1/mkfold"])
def test_lists_of_folds_are_found_where_people_put_them(tmp_path, place):
    root = build(tmp_path)
    text = (root / "mkfold/dsfold2.txt").read_text()
    (root / "mkfold/dsfold2.txt").unlink()
    (root / place).mkdir(exist_ok=True)
    (root / place / "dsfold2.txt").write_text(text)
    expected = {"14-13200", "14-2523", "14-190"}
    for at in ("", "BreaKHis_v1"):
        table = module(root / at, fold=2).samples
        assert set(table.patients[table.split == "test"]) == expected


def test_folds_without_lists(root):
    with pytest.raises(UserError, match=r"(?s)No dsfold3.txt.*--data.folds 5 --data.fold 3"):
        _ = module(root, fold=3).samples
    tested = []
    for fold in (1, 2, 3, 4):
        table = module(root, fold=fold, folds=4).samples
        tested += sorted(set(table.patients[table.split == "test"]))
    assert len(tested) == len(set(tested)) == len(set(table.patients))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("|40|2|train", "|40|train", 1), r"Cannot read line 1: .*\nin .*dsfold2.txt"),
        (lambda text: text.partition("\n")[2], r"1 images are not listed and 0 .* SOB_B_A-14-22549AB-40-001.png"),
        (
            lambda text: text + "SOB_B_F-14-1-40-001.png|40|2|train\n",
            r"0 images .* 1 listed images are missing.*SOB_B_F-14-1-40",
        ),
    ],
)
def test_lists_that_do_not_fit(tmp_path, change, message):
    path = build(tmp_path) / "mkfold/dsfold2.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        _ = module(tmp_path, fold=2, magnification=100).samples


@pytest.mark.parametrize("name", ["slide.png", "SOB_B_DC-14-4659-40-001.png", "SOB_B_TA-14-4659-50-001.png"])
def test_a_name_that_tells_no_patient_is_an_error(tmp_path, name):
    build(tmp_path)
    save_picture(tmp_path / "BreaKHis_v1/histology_slides/breast/benign/SOB/adenosis" / name, 1)
    with pytest.raises(UserError, match=rf"adenosis/{name} tells no patient"):
        _ = module(tmp_path).samples


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 0}, "No fold 0 of 5"),
        ({"fold": 6}, "No fold 6 of 5"),
        ({"fold": 1, "folds": 1}, "2 folds at least"),
        ({"test_fraction": 1.0}, "test_fraction must lie between"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        BreaKHisDataModule(**options)


def test_published_counts():
    def counts(**options):
        return BreaKHisDataModule(**options).published

    assert counts() == {"images": 7909, "patients": 70, "class:benign": 2480, "class:malignant": 5429}
    by_magnification = [counts(magnification=magnification) for magnification in (40, 100, 200, 400)]
    for key in ("images", "class:benign", "class:malignant"):
        assert sum(one[key] for one in by_magnification) == counts()[key]
    assert counts(subtypes=True) == {"images": 7786, "patients": 70}
    assert counts(merge_lettered=False)["patients"] == 81


def test_missing_data_say_where_to_get_them(tmp_path):
    for data in (module(tmp_path / "nowhere"), module(tmp_path), BreaKHisDataModule()):
        with pytest.raises(UserError, match=r"(?s)BreaKHis.*inf.ufpr.br.*histology_slides/breast"):
            data.setup("fit")
