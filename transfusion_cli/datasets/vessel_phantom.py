"""Photographs of the retina that the package draws itself, with their vessels."""

from pathlib import Path
from typing import Any

import numpy as np

from transfusion_cli.data.masks.case import IGNORE, Case, CaseReader
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.data.ranges import Ranges
from transfusion_cli.data.samples import SampleTable, Split, as_text
from transfusion_cli.phantoms.retina import EYES, PhantomRetina

SMALLEST = 64
"""Pixels of the side of a photograph with vessels to see."""


class VesselPhantomReader(CaseReader):
    """Draws the eye of a row of the sample table when first asked for it, and keeps it.

    Args:
        seed: number of the population.
        image_size: height and width in pixels.
        ids: name of each row (N,).
        values: of masks that are written.
    """

    def __init__(self, seed: int, image_size: int, ids: np.ndarray, values: MaskValues) -> None:
        super().__init__()
        self.seed, self.image_size, self.ids, self.values = seed, image_size, ids, values

    def read(self, row: int) -> Case:
        """Draw the eye: image uint8 (3, H, W)."""
        drawn = PhantomRetina(self.seed, *divmod(row, len(EYES))).draw(self.image_size)
        mask, truth = (np.where(drawn.field, drawn.vessels, outside).astype(np.uint8) for outside in (0, IGNORE))
        return Case.plain(np.ascontiguousarray(drawn.image.transpose(2, 0, 1)), mask, truth)

    def write(self, row: int, labels: np.ndarray, folder: Path) -> Path:
        """Write a mask as a PNG of 0 and 255."""
        return self.values.write(labels, folder / f"{self.ids[row]}.png")


class VesselPhantomDataModule(ImageMaskDataModule):
    """Photographs of the retinas of phantom patients with their vessels, drawn in memory.

    Source: drawn by the program
    Group: patient

    Arteries and veins leave the optic disc, bend around the fovea and branch until they are less than a pixel wide;
    the two eyes of a patient share pigment and the width and winding of their vessels. Uneven light, the choroid's
    pattern, small haemorrhages and noise make it hard. The truth is what was drawn, hidden vessels included. Nothing
    is read and nothing is written.

    Args:
        patients: patients for training and validation.
        test_patients: further patients, for the test.
        image_size: height and width of the photographs in pixels.
        anatomy_seed: number of the population: another number, other patients. The order of training does not depend
            on it, see ``seed``.
        batch_size: patches per optimizer step, over all processes together.
        num_workers: processes that load; the photographs lie in memory, so 0 is fastest.
        patch_size: sides of a patch, or one number for both.
        val_fraction: share of ``patients`` held out for validation.
        kwargs: as for ``ImageMaskDataModule`` and ``MaskDataModule``.
    """

    class_names = ["vessel"]
    default_augmentation = "vessels"
    default_patch = (128, 128)

    def __init__(
        self,
        patients: int = 12,
        test_patients: int = 6,
        image_size: int = 256,
        anatomy_seed: int = 0,
        batch_size: int = 8,
        num_workers: int = 0,
        patch_size: int | list[int] | None = None,
        val_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        sizes: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers, "patch_size": patch_size}
        super().__init__(root=None, val_fraction=val_fraction, **sizes, **kwargs)
        ranges = Ranges()
        ranges.least("patients", patients, 2)
        ranges.least("test_patients", test_patients, 1)
        ranges.least("image_size", image_size, SMALLEST)
        ranges.least("anatomy_seed", anatomy_seed, 0)
        ranges.settle()
        self.patients, self.test_patients = patients, test_patients
        self.side, self.anatomy_seed = image_size, anatomy_seed
        self._reader: VesselPhantomReader | None = None

    def load_samples(self) -> SampleTable:
        """Name all patients and eyes; pixels are drawn when a loader asks for them."""
        numbers = [(patient, eye) for patient in range(self.patients + self.test_patients) for eye in EYES]
        table = SampleTable(
            ids=as_text(f"phantom{patient:05d}_{eye}" for patient, eye in numbers),
            targets=np.zeros((len(numbers), 0), dtype=np.float32),
            split=np.array(["train" if patient < self.patients else "test" for patient, _ in numbers]),
            patients=as_text(f"phantom{patient:05d}" for patient, _ in numbers),
            masks=np.full(len(numbers), "drawn"),
        )
        self.hold_out_patients(table, self.val_fraction, "val")
        return table

    def case_reader(self, split: Split) -> CaseReader:
        """Draw photographs of any split."""
        if self._reader is None:
            self._reader = VesselPhantomReader(self.anatomy_seed, self.side, self.samples.ids, self.values)
        return self._reader
