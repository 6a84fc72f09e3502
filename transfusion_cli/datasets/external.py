"""Another data set, in the words of a run that was trained elsewhere."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.base import MedicalDataModule
from transfusion_cli.data.dataset import Reader
from transfusion_cli.data.label_map import LabelMap
from transfusion_cli.data.samples import SampleTable, Split
from transfusion_cli.data.subgroups import Subgroup
from transfusion_cli.errors import UserError
from transfusion_cli.targets import TARGETS, Target

log = logging.getLogger(__name__)


class ExternalData(MedicalDataModule):
    """Data of another hospital: for ``transfusion test RUN --data OTHER --label_map MAP``.

    They have their own test split, and whether anybody in it was trained on is looked at by the names of samples and
    patients. Images get the size that the run's have.

    Args:
        data: the other data.
        target: kind of target of the run.
        class_names: names of its classes or labels.
        label_map: names of the run's labels by those of the other data; see ``LabelMap``.
        kwargs: as for ``MedicalDataModule``.
    """

    def __init__(
        self,
        data: MedicalDataModule,
        target: Target,
        class_names: list[str],
        label_map: dict[str, str | None],
        **kwargs: Any,
    ) -> None:
        self.dims = data.dims
        super().__init__(augmentation=None, **kwargs)
        if data.target not in TARGETS or target not in TARGETS:
            raise UserError("label_map is for images with labels, and these are masks\nLeave out --label_map.")
        if data.cache is not None:
            raise UserError("cache is not for data of another run\nLeave out --data.cache.")
        self.data = data
        self.root, self.table = data.root, getattr(data, "table", None)
        self.in_chans, self.known_leak, self.dataset_class = data.in_chans, data.known_leak, data.dataset_class
        self._target, self._class_names = target, class_names
        self.name = type(data).__name__.removesuffix("DataModule")
        self.label_map = LabelMap(label_map, (data.target, data.class_names), (target, class_names), self.name)

    @property
    def target(self) -> Target:
        """As in the run."""
        return self._target

    @property
    def class_names(self) -> list[str]:
        """As in the run."""
        return self._class_names

    @property
    def tested(self) -> list[str]:
        """Labels of the run that these data know."""
        return self.label_map.tested

    @property
    def external(self) -> dict[str, Any]:
        """What these data are and what their labels were taken for, as plain data."""
        return {"data": self.name, **self.label_map.described}

    @property
    def folder(self) -> Path | None:
        """Of the other data."""
        return self.data.folder

    @property
    def _run_decides(self) -> bool:
        return False  # a sample that is called like one of the run's is another, or was trained on: that is looked at

    def load_samples(self) -> SampleTable:
        """The table of the other data, its targets in the run's words."""
        self.data.look_at(self.data.load_samples().used())
        whole = self.data.samples
        columns = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
        return SampleTable(**{**columns, "targets": self.label_map(whole.targets), "unused": None})

    def check_samples(self, table: SampleTable) -> None:
        """Nothing is learnt here."""

    def prepare_data(self) -> None:
        """Verify the files where that is asked for."""
        self.data.prepare_data()

    def make_reader(self, split: Split, size: tuple[int, ...] | None) -> Reader:
        """Read files as the other data do."""
        _ = self.samples
        return self.data.make_reader(split, size)

    def columns_of(self, rows: np.ndarray) -> Any:
        """What the other data tell of them."""
        _ = self.samples
        return self.data.columns_of(rows)

    def groups_of(self, rows: np.ndarray) -> list[Subgroup]:
        """Groups by the columns of the other data."""
        _ = self.samples
        return self.data.groups_of(rows)

    def sizes(self, rows: np.ndarray) -> np.ndarray | None:
        """Not told: what sizes tell of the run's classes is a matter of its own data."""
        return None
