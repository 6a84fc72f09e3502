import logging

import numpy as np
import pytest
from support.medmnist import build_medmnist

from transfusion_cli.data.transform import augmentation, volumes
from transfusion_cli.datasets import MedMNISTDataModule, medmnist
from transfusion_cli.datasets.families.medmnist_facts import FACTS
from transfusion_cli.errors import UserError


def module(root, **kwargs):
    return MedMNISTDataModule(root=str(root), num_workers=0, batch_size=4, image_size=28, **kwargs)


@pytest.mark.parametrize("flag", FACTS)
def test_every_set(tmp_path, flag):
    path = build_medmnist(tmp_path, flag)
    data = module(tmp_path, flag=flag, augmentation=None)
    facts, stored = FACTS[flag], np.load(path)
    data.setup(None)
    assert facts.augmentation in {2: augmentation, 3: volumes}[facts.dims].DEFAULTS
    assert facts.dims == data.dims == (3 if flag.endswith("3d") else 2)
    for split, loader in (("train", data.train_dataloader()), ("test", data.test_dataloader())):
        first = data.samples.rows(split)[0]
        for batch in loader:
            rows = batch["index"].numpy() - first
            pixels = batch["image"].numpy()
            assert pixels.shape == (4, data.in_chans, *[28] * data.dims) and pixels.dtype == np.uint8
            expected = stored[f"{split}_images"][rows]
            np.testing.assert_array_equal(pixels[:, 0], expected if data.in_chans == 1 else expected[..., 0])
            labels = stored[f"{split}_labels"][rows]
            match data.target:
                case "binary":
                    assert len(data.class_names) == 2
                    np.testing.assert_array_equal(batch["target"], labels.astype(np.float32))
                case "multilabel":
                    assert batch["target"].shape == (4, len(data.class_names))
                    np.testing.assert_array_equal(batch["target"], labels)
                case _:
                    np.testing.assert_array_equal(batch["target"], labels[:, 0].astype(np.int64))
                    assert str(batch["target"].dtype) == "torch.int64"


@pytest.mark.parametrize("compressed", [True, False])
def test_larger_sizes_and_mapping(tmp_path, compressed):
    path = build_medmnist(tmp_path, "bloodmnist", size=64, compressed=compressed)
    data = module(tmp_path, flag="bloodmnist", size=64)
    assert data.path == path == tmp_path / "bloodmnist_64.npz"
    reader = data.make_reader("val", data.size)
    assert isinstance(reader.images, np.memmap) is not compressed
    np.testing.assert_array_equal(reader(24 + 3), np.load(path)["val_images"][3])


def test_volumes_keep_the_size_of_their_file(tmp_path):
    build_medmnist(tmp_path, "vesselmnist3d", size=64, counts=(4, 2, 2))
    data = MedMNISTDataModule(root=str(tmp_path), flag="vesselmnist3d", size=64, num_workers=0, batch_size=2)
    data.network_size = (224, 224)  # of the backbone in two dimensions
    assert data.size == (64, 64, 64)
    data.image_size = (16, 24, 32)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 1, 16, 24, 32)


def test_sizes_that_are_not_there():
    with pytest.raises(UserError, match=r"no file of nodulemnist3d with 128 voxels a side\nTry --data.size 28 or 64"):
        MedMNISTDataModule(flag="nodulemnist3d", size=128)
    with pytest.raises(UserError, match=r"image_size must be one number or 3, got .28, 28."):
        MedMNISTDataModule(flag="nodulemnist3d", image_size=(28, 28))
    with pytest.raises(UserError, match="image_size must be one number or 2, got"):
        MedMNISTDataModule(image_size=(28, 28, 28))


def test_blocks_of_volumes_are_not_shuffled():
    with pytest.raises(UserError, match=r"shuffle_blocks cuts images into squares, and these are volumes\nLeave out"):
        MedMNISTDataModule(flag="nodulemnist3d", shuffle_blocks=7)


def test_other_counts_than_published_are_a_warning(tmp_path, caplog):
    build_medmnist(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert len(module(tmp_path).samples) == 48
    assert "holds (24, 12, 12) images (train, val, test); published: (4708, 524, 624)" in caplog.text


def test_absent_file(tmp_path):
    with pytest.raises(UserError, match=r"(?s)pneumoniamnist_224.npz.*zenodo.org/records/10519652.*download true"):
        module(tmp_path, size=224).setup("fit")


@pytest.mark.parametrize(
    ("flag", "other"), [("pathmnist", "bloodmnist"), ("octmnist", "pathmnist"), ("pneumoniamnist", "chestmnist")]
)
def test_file_of_another_set(tmp_path, flag, other):
    build_medmnist(tmp_path, other).rename(tmp_path / f"{flag}.npz")
    with pytest.raises(UserError, match=f"do not fit {flag}|No training sample has"):
        data = module(tmp_path, flag=flag)
        data.setup("fit")
        data.train_dataloader()


@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_file(tmp_path, compressed):
    path = build_medmnist(tmp_path, compressed=compressed)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"Cannot read 'train_labels' of .*pneumoniamnist.npz"):
        module(tmp_path).setup("fit")


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (
            "images",
            lambda images: images[:-1],
            r"Found uint8 \(\d+, 28, 28\); expected uint8 \(\d+, 28, 28\) for as many",
        ),
        ("images", lambda images: np.concatenate([images] * 50), "for as many labels"),
        ("images", lambda images: images.astype(np.float32), r"Found float32"),
        ("images", lambda images: images[:, :27], r"28, 27|27, 28"),
        ("labels", lambda labels: labels.astype(np.float32), r"Found float32 .*expected integers \(N, 1\)"),
        ("labels", lambda labels: labels - np.int64(1), r"Found values from -1 to 0; expected 0 to 1"),
        ("labels", lambda labels: labels[:, 0], r"expected integers \(N, 1\)"),
    ],
)
def test_every_split_is_checked_before_training(tmp_path, split, kind, change, message):
    path = build_medmnist(tmp_path)
    arrays = dict(np.load(path))
    arrays[f"{split}_{kind}"] = change(arrays[f"{split}_{kind}"])
    np.savez_compressed(path, **arrays)
    with pytest.raises(UserError, match=rf"{split}_{kind} of .* do not fit pneumoniamnist\n.*{message}") as caught:
        module(tmp_path).setup("fit")
    assert len(str(caught.value).splitlines()) <= 3


def test_too_many_to_be_true(tmp_path):
    path = build_medmnist(tmp_path)
    arrays = dict(np.load(path)) | {"train_labels": np.zeros((1_000_001, 1), np.uint8)}
    np.savez_compressed(path, **arrays)
    with pytest.raises(UserError, match=r"Found uint8 \(1000001, 1\)"):
        module(tmp_path).setup("fit")


def test_pickled_objects_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return print, ("bang",)

    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "pneumoniamnist.npz", train_labels=np.array([Bomb()], dtype=object))
        with pytest.raises(UserError, match="Cannot read 'train_labels'"):
            module(tmp_path).setup("fit")


def test_unknown_flag():
    with pytest.raises(UserError, match="Did you mean pneumoniamnist"):
        MedMNISTDataModule(flag="pneumonia")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A source of files that needs no network: file:// below a folder."""
    folder = tmp_path / "server"
    monkeypatch.setattr(medmnist, "URL", folder.as_uri() + "/{name}")
    return folder


def test_download(tmp_path, server, monkeypatch):
    import hashlib

    source = build_medmnist(server)
    md5 = FACTS["pneumoniamnist"].md5
    monkeypatch.setitem(md5, 28, hashlib.md5(source.read_bytes()).hexdigest())
    data = module(tmp_path / "new", download=True)
    data.prepare_data()
    data.setup("fit")
    assert data.path.read_bytes() == source.read_bytes()
    source.unlink()
    data.prepare_data()  # there already
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pneumoniamnist.npz"]


def test_damaged_or_impossible_download_leaves_nothing(tmp_path, server):
    build_medmnist(server)
    with pytest.raises(UserError, match=r"is damaged\nMD5 .* instead of 28209eda62fecd6e6a2d98b1501bb15f"):
        module(tmp_path / "new", download=True).prepare_data()
    with pytest.raises(UserError, match=r"Cannot download .*breastmnist.npz"):
        module(tmp_path / "new", flag="breastmnist", download=True).prepare_data()
    assert not list((tmp_path / "new").iterdir())


def test_images_keep_their_labels_where_samples_are_left_out(tmp_path):
    stored = np.load(build_medmnist(tmp_path, "pneumoniamnist"))
    (tmp_path / "out.txt").write_text("val_000000\ntest_000000\ntest_000001\n")
    data = module(tmp_path, exclude=str(tmp_path / "out.txt"))
    for split, first in (("val", 1), ("test", 2)):
        batch = next(iter(data.fixed_dataloader(split)))
        np.testing.assert_array_equal(batch["image"][0, 0], stored[f"{split}_images"][first])
        assert batch["target"][0] == stored[f"{split}_labels"][first, 0]
