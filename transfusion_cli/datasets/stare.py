"""STARE: structured analysis of the retina."""

import re
from typing import Any, Literal

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.reading.images import EXTENSIONS
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.field_of_view import field_of_view
from transfusion_cli.datasets.families.vessels import Photograph, VesselDataModule

_FILE = re.compile(r"(im\d{4})(?:\.(ah|vk))?\.\w+(\.gz)?$")


class STAREDataModule(VesselDataModule):
    """STARE: 20 retinal photographs from the United States, half of them healthy, their vessels by two observers.

    Source: https://cecas.clemson.edu/~ahoover/stare/
    Licence: research; see the page
    Layout: stare-images/im0001.ppm.gz, labels-ah/im0001.ah.ppm.gz and labels-vk/im0001.vk.ppm.gz, packed or not
    Group: photograph
    Classes: vessel
    Counts: 20 images with vessels, their numbers not in sequence
    Cite: Hoover et al. 2000, doi:10.1109/42.845178

    There is no official split: the first ten by name train, the last ten are the test, as in MMSegmentation; many
    papers leave one out instead. The field of view is the part of the image that is not black. Further images of the
    project, which have no vessels drawn, are passed over.

    Args:
        observer: whose masks are the truth: Adam Hoover's or Valentina Kouznetsova's, who drew more of the thin ones.
        kwargs: as for ``VesselDataModule`` and ``MaskDataModule``.
    """

    landmarks = ("stare-images", "labels-ah", "labels-vk")
    published = {"images": 20, "train+val": 10, "test": 10}
    find_field = staticmethod(field_of_view)

    def __init__(self, observer: Literal["ah", "vk"] = "ah", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observer = observer

    def load_samples(self) -> SampleTable:
        """Pair images and masks by name."""
        found: dict[tuple[str, str], str] = {}
        for path in image_files(self.folder, {*EXTENSIONS, ".gz"}):
            if match := _FILE.match(path.rpartition("/")[2]):
                kind = match[1], match[2] or ""
                if kind not in found or found[kind].endswith(".gz"):  # packed and unpacked may lie side by side
                    found[kind] = path
        names = sorted(name for name, kind in found if kind == self.observer)
        if not names:
            raise self.absent(f"no im*.{self.observer}.ppm.gz in {self.folder}/labels-{self.observer}")
        if lost := [name for name in names if (name, "") not in found]:
            raise self.absent(f"no {lost[0]}.ppm.gz in {self.folder}/stare-images")
        first = names[: len(names) // 2]
        return self.table_of(
            Photograph(found[name, ""], found[name, self.observer], "train" if name in first else "test")
            for name in names
        )
