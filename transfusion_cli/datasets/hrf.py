"""HRF: high-resolution fundus images."""

import re

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.vessels import Photograph, VesselDataModule

GROUPS = {"h": "healthy", "dr": "diabetic_retinopathy", "g": "glaucoma"}
TRAINING = 5
"""Images of each group; the others are the test."""

_FILE = re.compile(r"(\d\d)_(h|dr|g)(_mask)?\.\w+$", re.IGNORECASE)


class HRFDataModule(VesselDataModule):
    """HRF: 45 retinal photographs of 3,504 x 2,336 pixels: healthy, diabetic retinopathy and glaucoma.

    Source: https://www5.cs.fau.de/research/data/fundus-images/
    Licence: CC BY 4.0
    Layout: images, manual1 and mask; or the folders of the zips: healthy, healthy_manualsegm, healthy_fovmask and so on
    Group: photograph, each of another patient
    Classes: vessel
    Counts: 45 images, 15 of each group; 15 for training and validation, 30 for the test
    Cite: Budai et al. 2013, doi:10.1155/2013/154860

    There is no official split: the first five of each group train, as in MMSegmentation. Results are also given for
    each group.

    Args:
        kwargs: as for ``VesselDataModule`` and ``MaskDataModule``.
    """

    landmarks = ("manual1", "*_manualsegm")
    published = {"images": 45, "train+val": 15, "test": 30}
    default_patch = (512, 512)

    def load_samples(self) -> SampleTable:
        """Tell images, masks and fields of view apart by their folders and names, and pair them."""
        images, masks, fields = (dict[tuple[str, int], str]() for _ in range(3))
        for path in image_files(self.folder):
            folder, _, name = path.rpartition("/")
            if match := _FILE.match(name):
                kind = fields if match[3] else masks if "manual" in folder.lower() else images
                photograph = match[2].lower(), int(match[1])
                if kind.setdefault(photograph, path) != path:
                    raise self.strange("an image is there twice", path, "Leave one of the layouts alone.")
        if lost := [key for key in images.keys() | masks.keys() if not {key} <= images.keys() & fields.keys()]:
            group, number = min(lost)
            kind_lost = "image" if (group, number) not in images else "field of view"
            raise self.absent(f"no {kind_lost} of {number:02d}_{group} in {self.folder}")
        if not images:
            raise self.absent(f"no images in {self.folder}")
        photographs = []
        for group, name in GROUPS.items():
            for place, key in enumerate(sorted(key for key in images if key[0] == group)):
                split = "train" if place < TRAINING else "test"
                photographs.append(Photograph(images[key], masks.get(key, ""), split, "", name, fields[key]))
        return self.table_of(photographs)
