"""DRIVE: digital retinal images for vessel extraction."""

import hashlib
import logging
import re
from typing import Any, Literal

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.reading.images import read_image
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.vessels import Photograph, VesselDataModule
from transfusion_cli.errors import UserError

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"(\d+)_")
NUMBERS = {"training": range(21, 41), "test": range(1, 21)}
"""Of the images as published."""


class DRIVEDataModule(VesselDataModule):
    """DRIVE: 40 retinal photographs of Dutch patients with diabetes, their vessels and their field of view.

    Source: https://drive.grand-challenge.org/
    Licence: research; after registration
    Layout: training/{images,1st_manual,mask} and test/{images,mask}, with or without test/{1st,2nd}_manual
    Group: photograph, each of another patient
    Classes: vessel
    Counts: 20 images for training and validation, 20 for the test
    Cite: Staal et al. 2004, doi:10.1109/TMI.2004.825627

    The challenge's edition has no masks of the test images: they are the split ``predict`` then, and there is nothing
    to test on. Copies with turned images under new numbers go round and are refused, since an image and its copy would
    meet in two splits.

    Args:
        observer: whose masks of the test images are the truth; the second drew those alone.
        kwargs: as for ``VesselDataModule`` and ``MaskDataModule``.
    """

    landmarks = ("training/images",)
    published = {"images": 40, "train+val": 20, "test": 20}

    def __init__(self, observer: Literal[1, 2] = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observer = observer

    def load_samples(self) -> SampleTable:
        """Pair the files of both parts by their numbers."""
        photographs = [
            *self._part("training", "1st_manual"),
            *self._part("test", ("1st_manual", "2nd_manual")[self.observer - 1]),
        ]
        if bare := [photograph for photograph in photographs if photograph.split == "predict"]:
            log.warning(
                "DRIVE: %d test images have no masks in this edition, so that fit and predict alone can be run: "
                "--data.predict_split predict",
                len(bare),
            )
        self._refuse_copies(photographs)
        return self.table_of(photographs)

    def _part(self, part: Literal["training", "test"], manual: str) -> list[Photograph]:
        images, masks, fields = (self._files(part, kind) for kind in ("images", manual, "mask"))
        if not images:
            raise self.absent(f"no images in {self.folder / part / 'images'}")
        if more := sorted(set(images) - set(NUMBERS[part])):
            published = NUMBERS[part]
            raise self.strange(
                f"{len(more)} images have numbers that the published data set does not have",
                images[more[0]],
                f"Its {part} images are {published[0]:02d} to {published[-1]}; copies with turned images go round.",
            )
        if part == "training":
            return [Photograph(images[n], masks.get(n, ""), "train", field=fields.get(n, "")) for n in images]
        splits = {n: "test" if n in masks else "predict" for n in images}
        return [Photograph(images[n], masks.get(n, ""), splits[n], field=fields.get(n, "")) for n in images]

    def _files(self, part: str, kind: str) -> dict[int, str]:
        """File of each number in a folder."""
        found: dict[int, str] = {}
        for name in image_files(self.folder / part / kind):
            if (number := _NUMBER.match(name.rpartition("/")[2])) is None:
                continue
            path = f"{part}/{kind}/{name}"
            if found.setdefault(int(number[1]), path) != path:
                raise self.strange("several files have the same number", path, "Leave the published one alone.")
        return found

    def _refuse_copies(self, photographs: list[Photograph]) -> None:
        """See that no image is there twice, however it was saved."""
        first: dict[str, str] = {}
        for photograph in photographs:
            pixels = read_image(self.folder / photograph.image, 3)
            content = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
            other = first.setdefault(content, photograph.image)
            if other != photograph.image:
                raise UserError(
                    f"DRIVE: {other} and {photograph.image} are the same image\nin {self.folder}\n"
                    "This is no published copy: get it anew."
                )
