import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from transfusion_cli.data.masks.case import IGNORE
from transfusion_cli.datasets import VesselPhantomDataModule
from transfusion_cli.datasets.given_cases import GivenCases
from transfusion_cli.errors import UserError
from transfusion_cli.phantoms.retina import PhantomRetina

SIZE = 128


@pytest.fixture(scope="module")
def population():
    """Both eyes of eight patients."""
    return [[PhantomRetina(3, patient, eye).draw(SIZE) for eye in range(2)] for patient in range(8)]


def test_a_photograph_is_a_function_of_seed_patient_and_eye(population):
    again = PhantomRetina(3, 2, 1)
    for _ in range(2):
        for drawn, before in zip(again.draw(SIZE), population[2][1], strict=True):
            np.testing.assert_array_equal(drawn, before)
    for other in ((4, 2, 1), (3, 5, 1), (3, 2, 0)):
        assert (PhantomRetina(*other).draw(SIZE).image != again.draw(SIZE).image).mean() > 0.3


def test_vessels_lie_in_the_field_and_have_their_usual_share(population):
    for drawn in chain.from_iterable(population):
        assert drawn.image.shape == (SIZE, SIZE, 3) and drawn.image.dtype == np.uint8
        assert not (drawn.vessels & ~drawn.field).any()
        assert 0.65 < drawn.field.mean() < 0.73
        assert 0.05 < drawn.vessels.sum() / drawn.field.sum() < 0.25
        assert drawn.image[~drawn.field].mean() < 8 < 20 < drawn.image[drawn.field].mean()


def test_eyes_of_a_patient_share_pigment_and_mirror_each_other(population):
    colours = np.array([[drawn.image[drawn.field].mean(0) for drawn in eyes] for eyes in population])
    hues = colours / colours.sum(2, keepdims=True)
    same = np.abs(hues[:, 0] - hues[:, 1]).sum(1).mean()
    other = np.abs(hues[:-1, 0] - hues[1:, 1]).sum(1).mean()
    assert same < other / 2
    # Vessels are densest at the disc, which lies towards the nose: on the left in a photograph of a left eye.
    left = [[drawn.vessels[:, : SIZE // 2].mean() > drawn.vessels[:, SIZE // 2 :].mean() for drawn in eyes]
            for eyes in population]  # fmt: skip
    assert np.mean(left, axis=0)[0] > 0.7 and np.mean(left, axis=0)[1] < 0.3


def test_vessels_are_dark_but_no_threshold_finds_them(population):
    """The best threshold for green against its surroundings, chosen with the truth at hand, stays far from it."""
    from scipy.ndimage import gaussian_filter

    best = []
    for drawn in chain.from_iterable(population):
        green = drawn.image[..., 1].astype(float)
        field, vessels = drawn.field, drawn.vessels[drawn.field]
        around = gaussian_filter(green * field, 8) / np.maximum(gaussian_filter(field.astype(float), 8), 1e-6)
        darker = (around - green)[field]
        assert darker[vessels].mean() > darker[~vessels].mean() + 3
        cuts = np.percentile(darker, np.arange(60, 100, 2))
        found = [darker > cut for cut in cuts]
        best.append(max(2 * (f & vessels).sum() / (f.sum() + vessels.sum()) for f in found))
    assert 0.3 < np.mean(best) < 0.75


def module(**options):
    options = {"patients": 6, "test_patients": 2, "image_size": SIZE, "patch_size": 48} | options
    return VesselPhantomDataModule(**options)


def test_patients_are_split_with_both_eyes():
    data, other = module(), module(split_seed=5)
    table = data.samples
    patients = {split: set(table.patients[table.rows(split)]) for split in ("train", "val", "test")}
    assert [len(patients[split]) for split in ("train", "val", "test")] == [4, 2, 2]
    assert [len(table.rows(split)) for split in ("train", "val", "test")] == [8, 4, 4]
    assert patients["test"] == set(other.samples.patients[other.samples.rows("test")])
    assert module(seed=1).split_hash == module(seed=2).split_hash


def test_batches_and_whole_cases(tmp_path):
    data = module(batch_size=4)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert len(batches) == 8 and batches[0]["image"].shape == (4, 3, 48, 48)
    assert {0, 1} <= set(torch.cat([batch["target"] for batch in batches]).unique().tolist()) <= {0, 1, IGNORE}
    case = next(iter(data.test_dataloader()))["cases"][0]
    row = int(case["index"])
    drawn = PhantomRetina(0, row // 2, row % 2).draw(SIZE)
    np.testing.assert_array_equal(case["image"].permute(1, 2, 0), drawn.image)
    np.testing.assert_array_equal(case["truth"], np.where(drawn.field, drawn.vessels, IGNORE))
    reader = pickle.loads(pickle.dumps(data.case_reader("test")))
    np.testing.assert_array_equal(reader.whole(row).truth, case["truth"])
    written = reader.write(row, drawn.vessels.astype(np.uint8), tmp_path)
    assert written.name == f"phantom{row // 2:05d}_left.png"
    np.testing.assert_array_equal(np.asarray(Image.open(written)), drawn.vessels * np.uint8(255))


def test_files_are_predicted_as_photographs(tmp_path):
    Image.fromarray(PhantomRetina(0, 0, 0).draw(SIZE).image).save(tmp_path / "a.png")
    given = GivenCases(str(tmp_path), module(), "mask", ["vessel"], num_workers=0)
    case = next(iter(given.predict_dataloader()))["cases"][0]
    np.testing.assert_array_equal(case["image"].permute(1, 2, 0), PhantomRetina(0, 0, 0).draw(SIZE).image)


def test_wrong_numbers_are_named():
    with pytest.raises(UserError, match="image_size must be at least 64, got 32"):
        module(image_size=32)
