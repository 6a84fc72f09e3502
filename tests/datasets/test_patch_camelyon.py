import gzip
import logging
import pickle
import shlex
import subprocess

import h5py
import numpy as np
import pytest
from support.layouts.patch_camelyon import SLIDES, STEM, build, patches, write_meta, write_part

from transfusion_cli.data.layout.open_archives import OPEN_ARCHIVES
from transfusion_cli.datasets import PatchCamelyonDataModule
from transfusion_cli.errors import UserError

PARTS = {"train": "train", "val": "valid", "test": "test"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("pcam"))


@pytest.fixture
def own(tmp_path):
    """A tree to change."""
    return build(tmp_path)


def module(root, **kwargs):
    return PatchCamelyonDataModule(root=str(root), **{"num_workers": 0, "image_size": 96, "batch_size": 8, **kwargs})


def path(root, part, kind, suffix=".h5"):
    return root / "pcam" / f"{STEM.format(part, kind)}{suffix}"


def rewrite(root, part, kind, values):
    with h5py.File(path(root, part, kind), "w") as file:
        file[kind] = values


@pytest.mark.parametrize("at", ["", "pcam"])
def test_official_splits_by_slide(root, at):
    table = module(root / at).samples
    for split, part in PARTS.items():
        rows = table.rows(split)
        assert (table.targets[rows, 0] == patches(part)[1]).all()
        assert set(table.patients[rows]) == {f"camelyon16_{slide}" for slide in SLIDES[part]}
        assert table.ids[rows[0]] == f"{part}_000000"


@pytest.mark.parametrize("split", PARTS)
def test_images_are_those_of_the_row(root, tmp_path, split):
    """Also where rows in front are left out, as in a subset."""
    out = tmp_path / "out.txt"
    out.write_text(f"{PARTS[split]}_000000\ntrain_000003\n")
    data = module(root, unpack=str(tmp_path / "unpacked"), exclude=str(out))
    images, labels = patches(PARTS[split])
    batches = list(data.fixed_dataloader(split))
    first = batches[0]["image"][0].numpy()
    assert (first == images[1].transpose(2, 0, 1)).all()
    seen = np.concatenate([batch["target"][:, 0].numpy() for batch in batches])
    assert (seen == (np.delete(labels, [0, 3]) if split == "train" else labels[1:])).all()


def test_workers_read_for_themselves(root):
    data = module(root, num_workers=2, augmentation=None)
    reader = data.make_reader("train", data.size)
    reader(0)
    pickle.dumps(reader)
    images, _labels = patches("train")
    seen = {}
    for batch in data.train_dataloader():
        seen |= dict(zip(batch["index"].tolist(), batch["image"].numpy(), strict=True))
    assert len(seen) == 32
    assert all((image == images[row].transpose(2, 0, 1)).all() for row, image in seen.items())


def test_packed_images_say_how_to_unpack_them(own, tmp_path):
    data = module(own)
    data.prepare_data()
    data.setup("fit")
    with pytest.raises(UserError, match=r"--data\.unpack DIR") as caught:
        data.test_dataloader()
    assert len(str(caught.value).splitlines()) <= 3
    command = str(caught.value).splitlines()[1].partition(":")[2]
    subprocess.run(shlex.split(command), check=True)
    assert len(list(module(own).test_dataloader())) == 2


def test_unpacking_leaves_the_folder_of_the_data_alone(own, tmp_path):
    before = {file: file.read_bytes() for file in own.rglob("*") if file.is_file()}
    (tmp_path / "elsewhere").mkdir()
    data = module(own, unpack=str(tmp_path / "elsewhere/unpacked"))
    data.prepare_data()
    unpacked = list((tmp_path / "elsewhere/unpacked").iterdir())
    assert len(unpacked) == 1  # what is plain stays where it is
    assert (next(iter(data.test_dataloader()))["image"][0].numpy().transpose(1, 2, 0) == patches("test")[0][0]).all()
    assert {file: file.read_bytes() for file in (own / "pcam").rglob("*")} == {
        file: raw for file, raw in before.items() if file.parent.name == "pcam"
    }


def test_a_plain_file_goes_before_its_packed_copy(own):
    plain = path(own, "valid", "y")
    (plain.parent / f"{plain.name}.gz").write_bytes(gzip.compress(b"damaged"))
    assert len(module(own).samples.rows("val")) == 16


@pytest.mark.parametrize("spelling", [("FALSE", "TRUE"), ("0", "1"), ("0.0", "1.0")])
def test_meta_may_spell_truth_in_any_way(own, spelling):
    meta = path(own, "valid", "meta", ".csv")
    header, *rows = (line.split(",") for line in meta.read_text().splitlines())
    for row in rows:
        row[4] = spelling[row[4] == "True"]
    meta.write_text("\n".join(map(",".join, [header, *rows])))
    assert len(module(own).samples.rows("val")) == 16
    rows[4][4] = "perhaps"
    meta.write_text("\n".join(map(",".join, [header, *rows])))
    with pytest.raises(UserError, match=r"(?s)'perhaps' in column 'center_tumor_patch', row 6.*valid_meta"):
        _ = module(own).samples


def test_swapped_labels_are_found_by_the_meta_files(own):
    write_part(own / "pcam", "valid", *patches("test"))
    with pytest.raises(UserError, match=r"valid_meta\.csv disagrees with \d+ of 16 labels"):
        _ = module(own).samples
    path(own, "valid", "meta", ".csv").write_text(path(own, "train", "meta", ".csv").read_text())
    with pytest.raises(UserError, match=r"valid_meta\.csv has 32 rows for 16 labels"):
        _ = module(own).samples


def test_a_few_other_labels_are_a_warning(own, monkeypatch, caplog):
    labels = patches("valid")[1]
    labels[3] = 1 - labels[3]
    write_meta(own / "pcam", "valid", labels)
    with pytest.raises(UserError, match="disagrees with 1 of 16 labels"):
        _ = module(own).samples
    monkeypatch.setattr("transfusion_cli.datasets.patch_camelyon.TOLERATED", 0.1)
    assert (module(own).samples.targets[32:48, 0] == patches("valid")[1]).all()
    assert "1 of 16 labels of val" in caplog.text


def test_files_swapped_all_three_are_found_by_the_names_of_the_slides(own):
    for part, other in (("valid", "test"), ("test", "valid")):
        images, labels = patches(other)
        for old in (own / "pcam").glob(f"*_{part}_[xy].h5*"):
            old.unlink()
        write_part(own / "pcam", part, images, labels)
    texts = [path(own, part, "meta", ".csv").read_text() for part in ("test", "valid")]
    for part, text in zip(("valid", "test"), texts, strict=True):
        path(own, part, "meta", ".csv").write_text(text)
    with pytest.raises(UserError, match=r"valid_meta\.csv names slides of Camelyon16's test set alone"):
        _ = module(own).samples


def test_a_slide_in_two_splits_is_refused(own):
    meta = path(own, "valid", "meta", ".csv")
    meta.write_text(meta.read_text().replace("train_tumor_090", "train_tumor_001"))
    with pytest.raises(UserError, match="camelyon16_train_tumor_001"):
        _ = module(own).samples


def test_without_meta_files_slides_are_not_known(own, caplog):
    path(own, "train", "meta", ".csv").unlink()
    with caplog.at_level(logging.WARNING):
        assert module(own).samples.patients is None
    assert "slides are not known" in caplog.text
    write_meta(own / "pcam", "test", 1 - patches("test")[1])
    with pytest.raises(UserError, match="test_meta"):  # what is there is compared all the same
        _ = module(own).samples


@pytest.mark.parametrize("protocol", ["official", "partial_transfusion"])
def test_the_small_variant_takes_the_first_and_leaves_the_test_whole(root, monkeypatch, protocol):
    monkeypatch.setattr("transfusion_cli.datasets.patch_camelyon.SMALL", {"train": 20, "val": 4})
    data = module(root, protocol=protocol, small=True)
    table = data.samples
    assert [list(table.rows(split)) for split in PARTS] == [list(range(20)), list(range(32, 36)), list(range(48, 64))]
    assert data.published == {"train": 20, "val": 4, "test": 32_768}
    assert module(root, protocol=protocol).published["train"] == 262_144


def test_literal_changes_nothing_and_goes_with_the_protocol(root):
    plain = module(root, protocol="partial_transfusion")
    literal = module(root, protocol="partial_transfusion", literal=True)
    assert plain.split_hash == literal.split_hash and literal.known_leak == ""
    with pytest.raises(UserError, match="partial_transfusion"):
        module(root, literal=True)


def test_augmentation_keeps_the_centre(root):
    names = [name for item in module(root).augmentation for name in (item if isinstance(item, dict) else [item])]
    assert set(names) <= {"D4", "ColorJitter"}


def test_images_that_do_not_fit_the_labels(own):
    images, labels = patches("train")
    for wrong in (images[:-1], images[..., 0], images.astype(np.float32)):
        rewrite(own, "train", "x", wrong)
        with pytest.raises(UserError, match=r"(?s)train_x.*do not fit.*\(32, 96, 96, 3\)"):
            module(own).train_dataloader()
    rewrite(own, "train", "y", labels + 1)
    with pytest.raises(UserError, match=r"(?s)other than 0 and 1.*train_y"):
        _ = module(own).samples


def test_files_that_hold_more_than_they_should(own, tmp_path):
    packed = path(own, "test", "x", ".h5.gz")
    packed.write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(UserError, match="it unpacks to more than the 1,884,736 bytes that it should have"):
        module(own, unpack=str(tmp_path / "unpacked")).prepare_data()
    assert not list((tmp_path / "unpacked").iterdir())
    with h5py.File(path(own, "train", "y"), "w") as file:
        file.create_dataset("y", (10**11, 1, 1, 1), np.uint8, chunks=(1000, 1, 1, 1))
    with pytest.raises(UserError, match=r"100,000,000,000 labels in .*train_y"):
        _ = module(own).samples


def test_the_six_files_may_be_downloaded():
    names = {file.gives for file in OPEN_ARCHIVES[PatchCamelyonDataModule().archive]}
    assert names == {f"{STEM.format(part, kind)}.h5.gz" for part in SLIDES for kind in "xy"}


def test_missing_data_say_where_to_get_them(own, tmp_path):
    path(own, "valid", "y").unlink()
    for data in (module(own), module(tmp_path / "nowhere"), PatchCamelyonDataModule()):
        with pytest.raises(UserError, match=r"(?s)PatchCamelyon.*basveeling/pcam.*\{train,valid,test\}"):
            data.setup("fit")


def test_verify_reads_every_image(own):
    raw = path(own, "valid", "x").read_bytes()
    path(own, "valid", "x").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UserError, match="valid_x"):
        module(own, unpack=str(own / "unpacked"), verify=True).prepare_data()
