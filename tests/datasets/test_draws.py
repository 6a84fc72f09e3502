"""Which patients are drawn depends on who they are, not on choices of labels, policies, views and the order of rows."""

import inspect
import shutil
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import xlrd
import xlwt
from support import lidc, nnunet_images
from support.chexpert import build_chexpert
from support.images import build_image_folders, save_picture
from support.layouts import (
    aptos2019,
    breakhis,
    camelyon17,
    eyepacs,
    ham10000,
    isic2018,
    isic2019,
    isic2020,
    kermany_chest_xray,
    malaria,
    messidor,
    messidor2,
    mura,
    nct_crc,
    nih_chest_xray14,
    rsna_pneumonia,
)
from support.mask_layouts import chasedb1, drive, stare
from support.volume_layouts import acdc, datalist, lits, msd, nnunet

from transfusion_cli import datasets
from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.masks.base import MaskDataModule
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.volumes.base import VolumeDataModule


def without_lists(root):
    nih_chest_xray14.build(root, patients=70)
    (root / "test_list.txt").unlink()


def without_test(root):
    eyepacs.build(root, patients=60)
    (root / "retinopathy_solution.csv").unlink()


def table_of_images(root):
    """Images of 60 patients with a grade, three findings, and a column that is none of them."""
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(60):
        findings = rng.random(3) < (0.4, 0.2, 0.1)
        for image in range(2):
            name = f"images/{patient:03d}_{image}.png"
            save_picture(root / name, 100 * patient + image, (12, 12))
            grade = ("none", "mild", "severe")[int(rng.integers(3))]
            rows.append((name, f"p{patient:03d}", grade, *findings.astype(int), int(rng.integers(18, 90))))
    columns = ["image", "patient", "grade", "oedema", "nodule", "mass", "age"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "table.csv", index=False)


def normalised_or_not(root):
    """The same tiles in both versions."""
    nct_crc.build(root)
    shutil.rmtree(root / "NCT-CRC-HE-100K-NONORM")
    for number, path in enumerate(sorted((root / "NCT-CRC-HE-100K").rglob("*.tif"))):
        save_picture(root / "NCT-CRC-HE-100K-NONORM" / path.parent.name / path.name, 5000 + number, (28, 28))


def without_patients(root):
    table_of_images(root)
    pd.read_csv(root / "table.csv").drop(columns="patient").to_csv(root / "table.csv", index=False)


TREES = {
    "aptos": (datasets.APTOS2019DataModule, aptos2019.build, {}),
    "breakhis": (datasets.BreaKHisDataModule, breakhis.build, {}),
    "breakhis folds": (datasets.BreaKHisDataModule, breakhis.build, {"fold": 2, "folds": 3}),
    "breakhis lists": (datasets.BreaKHisDataModule, breakhis.build, {"fold": 1}),
    "camelyon17": (datasets.Camelyon17DataModule, camelyon17.build, {}),
    "chexpert": (
        datasets.CheXpertDataModule,
        lambda root: build_chexpert(root, patients=100, size=16),
        {"views": "all"},
    ),
    "eyepacs": (datasets.EyePACSDataModule, lambda root: eyepacs.build(root, patients=60), {}),
    "eyepacs without test": (datasets.EyePACSDataModule, without_test, {}),
    "ham10000": (datasets.HAM10000DataModule, ham10000.build, {}),
    "isic2018": (datasets.ISIC2018DataModule, lambda root: isic2018.build(root, labelled=False), {}),
    "isic2019": (datasets.ISIC2019DataModule, isic2019.build, {}),
    "isic2020": (datasets.ISIC2020DataModule, isic2020.build, {}),
    "chest x-ray": (datasets.KermanyChestXRayDataModule, lambda root: kermany_chest_xray.build(root, patients=30), {}),
    "malaria": (datasets.MalariaDataModule, malaria.build, {}),
    "messidor": (datasets.MessidorDataModule, messidor.build, {}),
    "messidor2": (datasets.Messidor2DataModule, messidor2.build, {"use": "all"}),
    "mura": (datasets.MURADataModule, lambda root: mura.build(root, patients=80), {}),
    "nct": (datasets.NCTCRCDataModule, normalised_or_not, {}),
    "nih": (datasets.NIHChestXRay14DataModule, lambda root: nih_chest_xray14.build(root, patients=70), {}),
    "nih without lists": (datasets.NIHChestXRay14DataModule, without_lists, {}),
    "rsna": (datasets.RSNAPneumoniaDataModule, lambda root: rsna_pneumonia.build(root, images=120), {}),
    "table": (datasets.ImageTableDataModule, table_of_images, {"table": "table.csv", "label_columns": "oedema"}),
    "acdc": (datasets.ACDCDataModule, lambda root: acdc.build(root, masked=False), {}),
    "datalist": (
        datasets.DatalistDataModule,
        lambda root: datalist.build(root, cases=24),
        {"labels": {"ball": 1, "core": 2}},
    ),
    "chasedb1": (datasets.CHASEDB1DataModule, chasedb1.build, {}),
    "drive": (datasets.DRIVEDataModule, drive.build, {}),
    "lidc": (datasets.LIDCDataModule, lidc.build, {}),
    "lidc masks": (datasets.LIDCSegmentationDataModule, lidc.build, {}),
    "lits": (datasets.LiTSDataModule, lits.build, {}),
    "msd": (datasets.MSDDataModule, msd.build, {}),
    "nnunet": (datasets.NNUNetDataModule, nnunet.build, {}),
    "nnunet images": (datasets.NNUNetImagesDataModule, nnunet_images.build, {}),
    "stare": (datasets.STAREDataModule, stare.build, {}),
    "bare table": (datasets.ImageTableDataModule, without_patients, {"table": "table.csv", "label_columns": "grade"}),
}
"""Data module, what writes its files, and options."""

LABELS = {
    "acdc": [{"labels": {"background": [0, 1, 2], "left ventricle": 3}}],
    "aptos": [{"task": "referable"}],
    "breakhis": [{"subtypes": True}, {"drop_ambiguous": True}, {"magnification": 100}],
    "breakhis folds": [{"subtypes": True}, {"magnification": 40}],
    "breakhis lists": [{"subtypes": True}, {"magnification": 40}],
    "chexpert": [
        *({"uncertain": policy} for policy in ("ignore", "zeros", "ones", "smooth", "drop", {"Edema": "drop"})),
        {"labels": "fourteen"},
        {"labels": ["Support Devices", "Edema"], "uncertain": "drop"},
        {"blank": "ignore"},
        {"views": "frontal"},
        {"views": "lateral"},
        {"projection": "PA"},
    ],
    "datalist": [{"labels": {"ball": [1, 2], "core": 2}}],
    "eyepacs": [{"task": "referable"}, {"usage": "Private"}],
    "eyepacs without test": [{"task": "referable"}],
    "chest x-ray": [{"causes": True}],
    "chasedb1": [{"observer": 2}],
    "drive": [{"observer": 2}],
    "lidc": [{"rule": "mean"}, {"rule": "mean_wide"}, {"min_readers": 3}],
    "lidc masks": [{"min_readers": 3}, {"consensus": 0.75}],
    "stare": [{"observer": "vk"}],
    "lits": [{"labels": {"liver": [1, 2], "tumour": 2}}, {"geometry": "agree"}],
    "messidor": [{"task": "referable"}, {"task": "oedema"}, {"errata": None}],
    "messidor2": [{"task": "referable"}],
    "msd": [{"labels": {"all": 1}}, {"task": "spleen"}],
    "mura": [{"parts": ["WRIST", "ELBOW", "HAND"]}],
    "nct": [{"normalised": False}],
    "nih": [{"labels": ["Effusion", "Hernia"]}, {"view_position": "PA"}],
    "nih without lists": [{"labels": ["Mass"]}, {"view_position": "AP"}],
    "nnunet": [{"labels": {"background": [0, 1], "core": 2}}],
    "nnunet images": [{"labels": {"disc": [1, 2], "cup": 2}}],
    "rsna": [{"task": "three_class"}],
    "table": [
        {"label_columns": ["mass", "nodule"]},
        {"label_columns": ["nodule", "mass", "oedema"]},
        {"label_columns": "oedema", "classes": ["1", "0"]},
        {"label_columns": "oedema", "kind": "ordinal"},
    ],
}
"""Options that change what is asked of the images, or of which images."""

DRAWS = {
    *("test_fraction", "val_fraction", "fold", "folds", "test_slide", "protocol", "literal", "small"),
    *("validation", "use", "test_set", "split_column", "held_out", "splits", "test_subset", "balanced"),
}
"""Options that say how to split."""

SOURCES = {
    *("version", "flag", "labeler", "table", "image_column", "patients", "test_patients"),
    *("images_per_patient", "anatomy_seed", "merge_lettered", "patient_column", "patient_pattern", "separator"),
    *("datalist", "mask_column", "fov_column", "candidates"),
}
"""Options that say what the source is and who its patients are."""

PIXELS = {
    *("circle_crop", "local_average", "trim_borders", "channels", "window", "size", "unpack", "download"),
    *("batch_size", "num_workers", "patch_size", "patches_per_case", "image_size", "crop", "cube", "voxel"),
    *("classes", "threshold"),
}
"""Options that change no row of the table."""


@pytest.fixture(scope="session")
def roots(tmp_path_factory):
    """The folder of each tree, written when first asked for."""
    written = {}

    def root_of(name):
        if name not in written:
            written[name] = tmp_path_factory.mktemp("tree")
            TREES[name][1](written[name])
        return written[name]

    return root_of


def module(name, root, **options):
    data_module, _, always = TREES[name]
    plain = {"num_workers": 0, "val_fraction": 0.2, "augmentation": None}
    plain |= {} if issubclass(data_module, MaskDataModule) else {"image_size": 16}
    return data_module(root=str(root), **(plain | always | options))


def table_of(name, root, **options):
    """The samples, without the check that every class is trained on: trees are small."""
    data = module(name, root, **options)
    with patch("transfusion_cli.data.base.check_classes"):
        return data.samples


def splits(table):
    return dict(zip(table.ids.tolist(), table.split.tolist(), strict=True))


def trained(table):
    return set(table.ids[table.rows("train")].tolist())


@pytest.mark.parametrize(
    ("name", "options"), [pytest.param(n, o, id=f"{n}-{o}") for n, several in LABELS.items() for o in several]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_option_on_labels_moves_a_sample(roots, name, options, seed):
    root = roots(name)
    plain, other = table_of(name, root, split_seed=seed), table_of(name, root, split_seed=seed, **options)
    before, after = splits(plain), splits(other)
    common = before.keys() & after.keys()
    assert common and {k: before[k] for k in common} == {k: after[k] for k in common}

    # Subsets take samples in one order: of those that both have, one subset holds the other's.
    common = trained(plain) & trained(other)
    plain = trained(table_of(name, root, split_seed=seed, train_fraction=0.4)) & common
    other = trained(table_of(name, root, split_seed=seed, train_fraction=0.4, **options)) & common
    assert plain and (plain <= other or other <= plain)
    if len(before) == len(after):
        assert plain == other


CONTRACTS = (MedicalDataModule, MaskDataModule, ImageMaskDataModule, VolumeDataModule)


def own_options(data_module):
    """Names of the options that are not every data module's."""
    bases = [base for base in data_module.__mro__ if base not in CONTRACTS and "__init__" in vars(base)]
    bases = [base for base in bases if issubclass(base, MedicalDataModule)]
    return {name for base in bases for name in inspect.signature(base.__init__).parameters} - {"self", "kwargs"}


@pytest.mark.parametrize("name", datasets.__all__)
def test_every_option_is_accounted_for(name):
    data_module = getattr(datasets, name)
    trees = [tree for tree in LABELS if TREES[tree][0] is data_module]
    tried = {option for tree in trees for options in LABELS[tree] for option in options}
    assert own_options(data_module) - tried <= DRAWS | SOURCES | PIXELS


def shuffle_rows(root, rng):
    """Shuffle the lines of all tables below a folder, but for their headers."""
    for path in sorted(root.rglob("*.csv")):
        if path.name.startswith("messidor-2"):
            continue  # its lines are pairs, in any order already
        lines = path.read_text().splitlines()
        headers = 0 if path.name.startswith(("train_", "valid_", "patientid_")) else 1
        order = headers + rng.permutation(len(lines) - headers)
        path.write_text("\n".join([*lines[:headers], *(lines[row] for row in order)]) + "\n")
    for path in sorted(root.rglob("Annotation*.xls")):
        sheet = xlrd.open_workbook(path).sheet_by_index(0)
        book = xlwt.Workbook()
        target = book.add_sheet("Feuil1")
        for line, row in enumerate([0, *(1 + rng.permutation(sheet.nrows - 1)).tolist()]):
            for column, value in enumerate(sheet.row_values(row)):
                target.write(line, column, value)
        book.save(str(path))


WITHOUT_TABLES = {"breakhis", "breakhis folds", "breakhis lists", "chest x-ray", "nct", "malaria"}
WITHOUT_TABLES |= {"chasedb1", "drive", "lidc", "lidc masks", "stare"}
WITHOUT_TABLES |= {"acdc", "datalist", "lits", "msd", "nnunet", "nnunet images"}

ROWS = [
    *(pytest.param(name, {}, id=name) for name in sorted(set(TREES) - WITHOUT_TABLES)),
    pytest.param("camelyon17", {"protocol": "partial_transfusion"}, id="camelyon17-thinned"),
    pytest.param("chexpert", {"protocol": "transfusion"}, id="chexpert-transfusion"),
    pytest.param("table", {"label_columns": "grade"}, id="table-grade"),
]


@pytest.mark.parametrize(("name", "options"), ROWS)
def test_the_order_of_rows_makes_no_difference(roots, tmp_path, name, options):
    shutil.copytree(roots(name), tmp_path / "tree")
    shuffle_rows(tmp_path / "tree", np.random.default_rng(0))
    for more in ({}, {"train_fraction": 0.43}):
        plain, shuffled = (splits(table_of(name, root, **options, **more)) for root in (roots(name), tmp_path / "tree"))
        assert list(shuffled) != list(plain) and shuffled == plain


def test_one_image_more_moves_one_or_two_others(tmp_path):
    root = build_image_folders(tmp_path, patients=70, images=2)  # 280 images, 56 of them for the test
    before = splits(folders(root).samples)
    assert list(before.values()).count("test") == 56
    moves = []
    for number in range(8):
        more = save_picture(root / ("normal", "sick")[number % 2] / f"x{number}.png", 99000 + number)
        after = splits(folders(root).samples)
        more.unlink()
        moves.append(sum(after[name] != split for name, split in before.items()))
    assert max(moves) <= 2


def test_copies_stay_together_where_no_patients_are_known(tmp_path, caplog):
    root = build_image_folders(tmp_path, patients=30, images=2)
    copies = {}
    for number in range(12):
        original = root / f"sick/p{30 + number:03d}_0.png"
        copies[f"sick/copy{number}.png"] = f"sick/{original.name}"
        shutil.copy(original, root / f"sick/copy{number}.png")
    with caplog.at_level("INFO"):
        for seed in range(5):
            caplog.clear()
            split = splits(folders(root, split_seed=seed).samples)
            assert all(split[copy] == split[original] for copy, original in copies.items())
            assert caplog.text.count("12 images are exact copies of others and stay together: 12 groups") == 1


def test_official_splits_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("transfusion_cli.data.units.duplicate_groups", None)
    for part in ("train", "val", "test"):
        build_image_folders(tmp_path / part, patients=6)
    table = folders(tmp_path, train_fraction=0.5).samples
    assert [len(table.rows(part)) for part in ("train", "val", "test")] == [12, 24, 24]


def folders(root, **options):
    return datasets.ImageTableDataModule(root=str(root), num_workers=0, image_size=16, **options)
