"""CHASE_DB1: both eyes of fourteen children."""

import re
from typing import Any, Literal

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.field_of_view import field_of_view
from transfusion_cli.datasets.families.vessels import Photograph, VesselDataModule

_IMAGE = re.compile(r"image_(\d+)([lr])\.\w+$", re.IGNORECASE)
_MASK = re.compile(r"image_(\d+)([lr])_(1st|2nd)ho\.\w+$", re.IGNORECASE)
CHILDREN, TRAINING = 14, 10


class CHASEDB1DataModule(VesselDataModule):
    """CHASE_DB1: retinal photographs of both eyes of 14 English children, their vessels by two observers.

    Source: https://blogs.kingston.ac.uk/retinal/chasedb1/
    Licence: CC BY 4.0
    Layout: Image_01L.jpg to Image_14R.jpg with Image_01L_1stHO.png and Image_01L_2ndHO.png, in one folder or several
    Group: child
    Classes: vessel
    Counts: 28 images, 20 of children 01 to 10 for training and validation, 8 of children 11 to 14 for the test
    Cite: Fraz et al. 2012, doi:10.1109/TBME.2012.2205687

    There is no official split: this is the usual one, the first 20 files against the last 8, which parts no child. The
    field of view is not published either: it is the part of the image that is not black.

    Args:
        observer: whose masks are the truth.
        kwargs: as for ``VesselDataModule`` and ``MaskDataModule``.
    """

    landmarks = ("[Ii]mage_01[LlRr].*", "*/[Ii]mage_01[LlRr].*")
    published = {"images": 28, "patients": 14, "train+val": 20, "test": 8}
    find_field = staticmethod(field_of_view)

    def __init__(self, observer: Literal[1, 2] = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observer = observer

    def load_samples(self) -> SampleTable:
        """Pair images and masks by child and eye."""
        files = image_files(self.folder)
        wanted = ("1st", "2nd")[self.observer - 1]
        masks = {_eye(found): name for name in files if (found := _MASK.search(name)) and found[3].lower() == wanted}
        images: dict[tuple[int, str], str] = {}
        for name in files:
            if (found := _IMAGE.search(name)) and images.setdefault(_eye(found), name) != name:
                raise self.strange("an eye is there twice", name, "Leave the published images alone.")
        if more := [name for (child, _), name in images.items() if not 1 <= child <= CHILDREN]:
            raise self.strange(f"{len(more)} images are of no child", more[0], "Published are Image_01L to Image_14R.")
        if not masks:
            raise self.absent(f"no Image_*_{wanted}HO.png in {self.folder}")
        return self.table_of(
            Photograph(name, masks.get((child, eye), ""), "train" if child <= TRAINING else "test", f"{child:02d}")
            for (child, eye), name in images.items()
        )


def _eye(found: re.Match[str]) -> tuple[int, str]:
    return int(found[1]), found[2].upper()
