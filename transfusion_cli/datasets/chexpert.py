"""CheXpert, read from the files as Stanford releases them."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.listed import report_missing
from transfusion_cli.data.layout.tables import by_name, codes, read_table, refuse, require_columns
from transfusion_cli.data.protocols import check_literal
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.datasets.families.chexpert_files import BATCHES, find_table, image_paths
from transfusion_cli.datasets.families.chexpert_labels import FIVE, FOURTEEN, MIXED, TABLES, label_name, positives
from transfusion_cli.datasets.families.chexpert_protocols import TRANSFUSION_IMAGES, partial_transfusion, settle
from transfusion_cli.datasets.families.uncertain_labels import BlankPolicy, UncertainPolicy, apply_policies
from transfusion_cli.errors import UserError
from transfusion_cli.targets import Target

if TYPE_CHECKING:
    import pandas as pd

_PATH = r"((?:train|valid|val|test)/((patient\d+)(?:/.+)?)/[^/]+)$"


class CheXpertDataModule(ImageFilesDataModule):
    """CheXpert chest X-rays: five or fourteen labels, uncertainty policies, validation split by patient.

    Source: https://stanfordmlgroup.github.io/competitions/chexpert/ (CheXpert-v1.0-small or the full release, after
        registration)
    Licence: Stanford University School of Medicine CheXpert Dataset Research Use Agreement
    Layout: train.csv, valid.csv, train/ and valid/; or the folders "CheXpert-v1.0 batch 1 (validate & csv)" to
        "batch 4 (train 3)" of the full release
    Group: patient; exam: the study, since labels are given for studies
    Classes: five labels of the competition, or all fourteen
    Counts: 223,414 images of 64,540 patients in train.csv (191,027 frontal), 234 of 200 in valid.csv (202 frontal)
    Cite: Irvin et al. 2019, arXiv:1901.07031

    Training and validation patients come from ``train.csv``, labelled from the reports; ``valid.csv``, labelled by
    radiologists, is the test split. With the true test set (``test_set: chexlocalize``), ``valid.csv`` is the
    validation split and all of ``train.csv`` trains. Uncertain labels follow the policy in training; in validation and
    test they are unknown. ``test[exams]/auroc`` is that of the mean probability over the images of each study. No
    choice of labels, views or policies changes which patients validate: they are drawn by what the table says of all.

    The protocols decide labels, views, projection, uncertain, blank, labeler and test_set; to set one of these
    otherwise is an error. ``partial_transfusion`` (Kanavati & Tsuneki 2021): frontal images of train.csv alone, without
    rows in which one of the five labels or No Finding is uncertain; 49/21/30 % of the patients, and of these as many
    images for each label, 11,633 for training and 1,350 for the test. ``transfusion`` (Raghu et al. 2019) follows the
    later public code of two of its authors, since its own split was never published: all views, uncertain labels read
    as ``mixed`` in the test split too, 50,000 images of train.csv for training and as many for the test, but by
    patient, and valid.csv for validation; of fewer than 100,000 images half are for the test.

    Args:
        labels: ``five`` (the competition's), ``fourteen``, or a list of label names.
        views: which images: ``frontal``, ``lateral`` or ``all``; null is frontal, or what the protocol says.
        projection: only frontal images taken ``AP`` or ``PA``; null takes both, and the few marked LL or RL.
        uncertain: what -1 becomes in training: ``ignore`` (masked), ``zeros``, ``ones``, ``smooth`` (ones drawn from
            0.55 to 0.85), ``drop`` (leave out the row), or ``mixed`` (ones for Atelectasis and Edema; zeros for
            Cardiomegaly, Consolidation and Pleural Effusion; ignore for the rest). A mapping gives it per label;
            labels it does not name are ``mixed``. Null is mixed, or what the protocol says.
        blank: what a label that the report does not mention becomes: ``zeros`` or ``ignore``.
        labeler: who read the training reports: ``chexpert`` (train.csv), ``chexbert`` (train_cheXbert.csv) or
            ``visualchexbert`` (train_visualCheXbert.csv).
        test_set: ``valid`` for valid.csv, or ``chexlocalize`` for the official test images, published with
            CheXlocalize: put its folder ``CheXpert``, with test_labels.csv and test/, into root.
        protocol: ``official``, ``partial_transfusion`` or ``transfusion``.
        literal: with ``partial_transfusion``: validation images are of training patients, as in the paper's code.
        kwargs: as for ``MedicalDataModule``. ``root`` is the folder with the tables, under any name, or its parent.
    """

    landmarks = (*TABLES.values(), BATCHES)
    target: Target = "multilabel"
    class_names = FIVE
    in_chans = 1

    def __init__(
        self,
        labels: Literal["five", "fourteen"] | list[str] = "five",
        views: Literal["frontal", "lateral", "all"] | None = None,
        projection: Literal["AP", "PA"] | None = None,
        uncertain: UncertainPolicy | Literal["mixed"] | dict[str, UncertainPolicy] | None = None,
        blank: BlankPolicy = "zeros",
        labeler: Literal["chexpert", "chexbert", "visualchexbert"] = "chexpert",
        test_set: Literal["valid", "chexlocalize"] = "valid",
        protocol: Literal["official", "partial_transfusion", "transfusion"] = "official",
        literal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_literal(protocol, literal)
        chosen = {"labels": labels, "views": views, "projection": projection, "uncertain": uncertain}
        settled = settle(protocol, **chosen, blank=blank, labeler=labeler, test_set=test_set)
        self.views: str = settled["views"] or "frontal"
        policy: str | dict[str, UncertainPolicy] = settled["uncertain"] or "mixed"
        self.projection, self.blank, self.labeler, self.test_set = projection, blank, labeler, test_set
        self.protocol, self.literal = protocol, literal
        if literal:
            self.known_leak = "literal: validation patients are training patients too"
        named = {"five": FIVE, "fourteen": FOURTEEN}
        self.class_names = [label_name(name) for name in (named[labels] if isinstance(labels, str) else labels)]
        self._columns = ["No Finding", *FIVE] if protocol == "partial_transfusion" else self.class_names
        if isinstance(policy, dict):
            policies: dict[str, Any] = MIXED | {label_name(name): value for name, value in policy.items()}
        else:
            policies = MIXED if policy == "mixed" else dict.fromkeys(self._columns, policy)
        self.uncertain: list[UncertainPolicy] = [policies.get(label, "ignore") for label in self._columns]

    @property
    def published(self) -> dict[str, int]:
        """Rows of the tables; those that Kanavati & Tsuneki draw."""
        if self.protocol == "partial_transfusion":
            counts = {"train": 11633, "test": 1350} | ({"val": 1036} if self.literal else {})
            return {} if self.split_seed else counts
        sizes = {"all": (223414, 234), "frontal": (191027, 202), "lateral": (32387, 32)}
        train, valid = sizes[self.views]
        if self.protocol == "transfusion":
            return {"train": TRANSFUSION_IMAGES, "val": valid}
        if self.projection or "drop" in self.uncertain:
            return {}
        return {"train+val": train, "test": valid} if self.test_set == "valid" else {"train": train, "val": valid}

    @cached_property
    def folder(self) -> Path:
        """``root`` or a folder in it, with the tables or all batches of the full release."""
        found = super().folder
        return found.parent if found.match(BATCHES) else found

    def load_samples(self) -> SampleTable:
        """Read the tables, choose views, apply the label policies, and split train.csv by patient."""
        parts = [self._read(path, split) for split, path in self._tables().items()]
        ids, paths, patients, exams, targets, uncertain, positive, unused, split = (
            np.concatenate(columns) for columns in zip(*parts, strict=True)
        )
        table = SampleTable(ids, targets, split, patients, paths, exams=exams, source_labels=positive, unused=unused)
        match self.protocol:
            case "partial_transfusion":
                return partial_transfusion(table.used(), self.literal, self.split_seed)
            case "transfusion":
                images = len(table.rows("train"))
                self.hold_out_number(table, min(TRANSFUSION_IMAGES, images // 2), "test")
                table.train_on(table.training_order(self.split_seed)[:TRANSFUSION_IMAGES])
            case _:
                if not len(table.rows("val")):
                    self.hold_out_patients(table, self.val_fraction, "val")
                # A policy is a guess: good enough to learn from, not to be measured against.
                table.targets[uncertain & (table.split != "train")[:, None]] = np.nan
        return table

    def columns_of(self, rows: np.ndarray) -> "pd.DataFrame":
        """Columns of the tables: Sex, Age, Frontal/Lateral, AP/PA and the labels as they stand there."""
        tables = (read_table(path) for path in self._tables().values())
        return by_name([(table, table["Path"].str.extract(_PATH)[0]) for table in tables], self.samples.ids[rows])

    def _tables(self) -> dict[Split, Path]:
        """The tables of the splits that are there from the start."""
        train = find_table([self.folder], TABLES[self.labeler])
        if train is None:
            raise self.absent(f"no {TABLES[self.labeler]} in {self.folder}")
        if self.protocol == "partial_transfusion":
            return {"train": train}
        valid = find_table([self.folder], "valid.csv")
        if self.protocol == "official" and self.test_set == "valid":
            return {"train": train} if valid is None else {"train": train, "test": valid}
        assert self.root is not None
        valid = valid or find_table([self.folder, self.root], "val_labels.csv")
        if valid is None:
            raise self.absent(f"no valid.csv in {self.folder}")
        if self.protocol == "transfusion":
            return {"train": train, "val": valid}
        test = find_table([self.folder, self.root], "test_labels.csv")
        if test is None:
            raise UserError(
                f"CheXpert: no test_labels.csv in {self.root}\n"
                "Get CheXlocalize (https://github.com/rajpurkarlab/cheXlocalize) and put its folder CheXpert there,\n"
                "or take the 200 patients of valid.csv: --data.test_set valid"
            )
        return {"train": train, "val": valid, "test": test}

    def _read(self, path: Path, split: Split) -> tuple[np.ndarray, ...]:
        """Ids, paths, patients, studies, targets, where those are uncertain, positives, what is unused, and split."""
        frame = read_table(path)
        frame.columns = frame.columns.str.replace("_", " ").str.strip()
        require_columns(frame, ["Path", *self._columns], path)
        allowed = "1, 0, -1 (uncertain) and blank (not mentioned)"
        raw = np.stack([codes(frame, label, path, (1, 0, -1), allowed) for label in self._columns], axis=1)
        targets, keep = apply_policies(raw, self.uncertain, self.blank, self.seed)
        keep &= self._view(frame, path)
        parts = frame["Path"].str.extract(_PATH)
        refuse(parts[0].isna().to_numpy(), frame["Path"], "Path", path, ".../train/patient00001/study1/view1_....jpg")
        ids, exams, patients = (as_text(parts[column].to_numpy()) for column in parts)
        paths, missing = image_paths(self.folder, path, ids, patients)
        report_missing(ids[keep], missing[keep], path, self.exclude)
        splits = np.full(len(ids), split, dtype="<U7")
        return ids, paths, patients, exams, targets, raw == -1, positives(frame), ~keep, splits

    def _view(self, frame: "pd.DataFrame", path: Path) -> np.ndarray:
        chosen = np.ones(len(frame), dtype=bool)
        if self.views != "all":
            if "Frontal/Lateral" in frame.columns:
                view = frame["Frontal/Lateral"].astype("str").str.lower()
                unknown = ~view.isin(["frontal", "lateral"]).to_numpy()
                refuse(unknown, frame["Frontal/Lateral"], "Frontal/Lateral", path, "Frontal, Lateral")
            else:  # as in CheXlocalize's tables
                view = frame["Path"].str.extract(r"_(frontal|lateral)\.")[0]
                refuse(view.isna().to_numpy(), frame["Path"], "Path", path, "..._frontal.jpg, ..._lateral.jpg")
            chosen &= (view == self.views).to_numpy()
        if self.projection is not None:
            require_columns(frame, ["AP/PA"], path)
            chosen &= (frame["AP/PA"] == self.projection).to_numpy()
        return chosen
