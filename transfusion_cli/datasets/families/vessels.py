"""What data sets of retinal vessels share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.samples import SampleTable, as_text
from transfusion_cli.errors import UserError


class Photograph(NamedTuple):
    """One image of a data set: files relative to its folder, empty where there is none."""

    image: str
    mask: str
    split: str
    patient: str = ""
    domain: str = ""
    field: str = ""


class VesselDataModule(ImageMaskDataModule, ImageFilesDataModule):
    """Photographs of the retina with their vessels.

    Masks are read as grey, and what is brighter than 127 is a vessel: some are palettes or not quite black and white.

    Args:
        kwargs: as for ``ImageMaskDataModule`` and ``MaskDataModule``.
    """

    class_names = ["vessel"]
    values = MaskValues(threshold=128)
    default_augmentation = "vessels"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def table_of(self, photographs: Iterable[Photograph]) -> SampleTable:
        """The table of all photographs, validation held out of those for training."""
        rows = sorted(photographs)
        columns = {name: as_text(row[place] for row in rows) for place, name in enumerate(Photograph._fields)}
        known = {name: values if (values != "").any() else None for name, values in columns.items()}
        table = SampleTable(
            ids=columns["image"],
            targets=np.zeros((len(rows), 0), dtype=np.float32),
            split=columns["split"],
            patients=known["patient"],
            paths=columns["image"],
            domains=known["domain"],
            masks=columns["mask"],
            fields=known["field"],
        )
        if self.val_fraction and not len(table.rows("val")):
            self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def strange(self, what: str, example: str, advice: str) -> UserError:
        """The error for files that the published data set does not have."""
        name = type(self).__name__.removesuffix("DataModule")
        return UserError(f"{name}: {what}, for example {example}\nin {self.folder}\n{advice}")
