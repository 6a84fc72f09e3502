import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open

import transfusion_cli
import transfusion_cli.models
from transfusion_cli.datasets.phantom import PhantomDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.phantoms.images import PhantomRadiograph, PhantomReader
from transfusion_cli.phantoms.patient import FINDINGS, PREVALENCE, PhantomPatient

WEIGHTS = Path(transfusion_cli.__file__).parent / "weights/cifar_resnet20_textures.safetensors"


def phantoms(**options) -> PhantomDataModule:
    options = {"patients": 30, "test_patients": 10, "images_per_patient": 2, "image_size": 32} | options
    return PhantomDataModule(**options)


@pytest.fixture(scope="module")
def population() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of 400 patients, two images each."""
    radiographs = [PhantomRadiograph(3, patient, image) for patient in range(400) for image in range(2)]
    return np.stack([r.draw(32) for r in radiographs]), np.stack([r.labels for r in radiographs])


def test_an_image_is_a_function_of_seed_patient_and_image():
    image = PhantomRadiograph(1, 2, 0).draw(32)
    assert image.shape == (32, 32) and image.dtype == np.uint8
    radiograph = PhantomRadiograph(1, 2, 0)
    PhantomRadiograph(1, 7, 1).draw(32)
    for _ in range(2):
        np.testing.assert_array_equal(radiograph.draw(32), image)
    for other in ((0, 2, 0), (1, 3, 0), (1, 2, 1)):
        assert (PhantomRadiograph(*other).draw(32) != image).mean() > 0.3


def test_anatomy_stays_and_pose_changes_between_images_of_a_patient():
    first, second = PhantomRadiograph(1, 5, 0), PhantomRadiograph(1, 5, 1)
    for field in dataclasses.fields(PhantomPatient):
        np.testing.assert_array_equal(getattr(first.patient, field.name), getattr(second.patient, field.name))
    assert first.view.rotation != second.view.rotation
    assert set(first.view.severity) <= set(first.patient.severity)


def test_images_of_a_patient_resemble_each_other(population):
    images = population[0].reshape(400, 2, -1).astype(float)
    images -= images.mean((0, 1))
    images /= np.linalg.norm(images, axis=2, keepdims=True)
    same = (images[:, 0] * images[:, 1]).sum(1).mean()
    other = (images[:-1, 0] * images[1:, 1]).sum(1).mean()
    assert same > other + 0.1


def test_findings_have_their_prevalence_and_come_together(population):
    labels = population[1]
    assert ((labels.mean(0) > 0.1) & (labels.mean(0) < 0.4)).all()
    severities = [PhantomPatient.draw(9, p).severity for p in range(2000)]
    patients = np.array([[finding in severity for finding in FINDINGS] for severity in severities])
    # Three standard deviations of a share of 2,000.
    np.testing.assert_allclose(patients.mean(0), list(PREVALENCE.values()), atol=0.033)
    together = np.corrcoef(patients.T)
    assert 0.1 < together[FINDINGS.index("Cardiomegaly"), FINDINGS.index("Effusion")] < 0.5
    assert abs(together[FINDINGS.index("Cardiomegaly"), FINDINGS.index("Nodule")]) < 0.1


def test_hidden_findings_are_not_labelled():
    radiographs = [PhantomRadiograph(0, patient, image) for patient in range(200) for image in range(3)]
    hidden = sum(len(r.patient.severity) - int(r.labels.sum()) for r in radiographs)
    present = sum(len(r.patient.severity) for r in radiographs)
    assert 0.05 < hidden / present < 0.15


@pytest.mark.parametrize("finding", FINDINGS[1:])
def test_each_finding_changes_the_image(finding):
    """Without the finding the same image, noise included, looks different."""
    radiograph = next(r for p in range(200) if finding in (r := PhantomRadiograph(0, p, 0)).view.severity)
    with_it = radiograph.draw(64).astype(float)
    radiograph.view.severity.pop(finding)
    assert np.abs(radiograph.draw(64) - with_it).max() > 15


def test_enlarged_hearts_are_larger_but_overlap_with_normal_ones():
    patients = [PhantomPatient.draw(0, p) for p in range(300)]
    large = [p.cardiothoracic_ratio for p in patients if "Cardiomegaly" in p.severity]
    normal = [p.cardiothoracic_ratio for p in patients if "Cardiomegaly" not in p.severity]
    assert np.mean(large) > np.mean(normal) + 0.08
    assert min(large) < max(normal)


def test_pixels_alone_are_neither_trivial_nor_hopeless(population):
    """A linear classifier on the pixels: above chance, well below what a network should reach."""
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score

    pixels, labels = population[0].reshape(len(population[0]), -1) / 255, population[1]
    seen = len(pixels) * 2 // 3 // 2 * 2  # whole patients
    scores = Ridge(alpha=300).fit(pixels[:seen], labels[:seen]).predict(pixels[seen:])
    assert 0.6 < roc_auc_score(labels[seen:], scores, average="macro") < 0.85


def test_data_module_draws_batches_at_the_size_asked_for():
    data = phantoms(batch_size=8, image_size=40)
    assert (data.target, data.class_names, data.in_chans) == ("multilabel", FINDINGS, 1)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (8, 1, 40, 40) and batch["image"].dtype == torch.uint8
    assert batch["target"].shape == (8, 5) and batch["target"].dtype == torch.float32
    plain = next(iter(data.test_dataloader()))
    row = int(plain["index"][3])
    np.testing.assert_array_equal(plain["image"][3, 0], PhantomRadiograph(0, *divmod(row, 2)).draw(40))
    np.testing.assert_array_equal(plain["target"][3], data.samples.targets[row])


def test_splits_are_by_patient_and_the_test_set_stays():
    data, other = phantoms(), phantoms(split_seed=5, patients=30)
    groups = {split: set(data.samples.patients[data.samples.rows(split)]) for split in ("train", "val", "test")}
    assert [len(groups[split]) for split in ("train", "val", "test")] == [22, 8, 10]
    assert not groups["train"] & groups["val"] and not (groups["train"] | groups["val"]) & groups["test"]
    assert groups["test"] == set(other.samples.patients[other.samples.rows("test")])
    assert groups["val"] != set(other.samples.patients[other.samples.rows("val")])


def test_the_seed_of_training_leaves_the_population_alone():
    assert phantoms(seed=1).split_hash == phantoms(seed=2).split_hash
    np.testing.assert_array_equal(phantoms(seed=1).samples.targets, phantoms(seed=2).samples.targets)
    assert (phantoms(anatomy_seed=1).samples.targets != phantoms().samples.targets).any()


def test_reader_keeps_what_it_drew_and_pickles():
    reader = PhantomReader(0, 2, 32)
    image = reader(3)
    assert reader(3) is image
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader))(3), image)


def test_wrong_numbers_are_named():
    with pytest.raises(UserError, match="patients must be at least 2, got 1"):
        phantoms(patients=1)


def test_source_weights_are_small_documented_and_fit_the_backbone():
    assert WEIGHTS.stat().st_size <= 1.5e6
    with safe_open(WEIGHTS, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = file.metadata()
    network = timm.create_model("cifar_resnet20", num_classes=len(json.loads(facts["classes"])))
    network.load_state_dict(tensors)
    assert json.loads(facts["input_size"]) == [3, 32, 32]
    assert len(json.loads(facts["mean"])) == len(json.loads(facts["std"])) == 3
    assert float(facts["held_out_accuracy"]) > 0.8
    assert {"script", "settings", "versions", "date", "license"} <= set(facts)


def test_source_weights_recognise_fresh_textures(monkeypatch):
    """The declared mean and standard deviation are those the weights were trained with."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "scripts")
    from textures import CLASSES, draw_texture

    with safe_open(WEIGHTS, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        mean, std = (torch.tensor(json.loads(file.metadata()[key])).view(3, 1, 1) for key in ("mean", "std"))
    network = timm.create_model("cifar_resnet20", num_classes=len(CLASSES)).eval()
    network.load_state_dict(tensors)
    labels = torch.arange(200) % len(CLASSES)
    images = np.stack([draw_texture(np.random.default_rng([99, i]), int(label), 32) for i, label in enumerate(labels)])
    with torch.no_grad():
        right = network((torch.from_numpy(images) / 255 - mean) / std).argmax(1) == labels
    assert right.float().mean() > 0.75
