"""ACDC: the heart in cine MR."""

import re

import numpy as np

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.cases import ListedCase
from transfusion_cli.data.layout.mask_labels import MaskLabels
from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.samples import SampleTable
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule
from transfusion_cli.errors import UserError

_FRAME = re.compile(
    r"(?P<part>training|testing)/(?P<patient>patient\d+)/(?P<name>(?P=patient)_frame(?P<frame>\d+))\.nii(\.gz)?"
)

GROUPS = ["DCM", "HCM", "MINF", "NOR", "RV"]


class ACDCDataModule(VolumeCasesDataModule, ImageFilesDataModule):
    """ACDC: cine MR of the heart at the end of diastole and of systole, with both ventricles and the myocardium.

    Source: https://www.creatis.insa-lyon.fr/Challenge/acdc (ACDC database, after registration)
    Licence: CC BY-NC-SA 4.0
    Layout: {training,testing}/patientNNN/patientNNN_frameXX.nii.gz with patientNNN_frameXX_gt.nii.gz and Info.cfg
    Group: patient, of two frames; domain: ED or ES, by Info.cfg
    Classes: right ventricle, myocardium, left ventricle
    Counts: 200 frames of 100 patients for training, 100 of 50 for the test
    Cite: Bernard et al. 2018, doi:10.1109/TMI.2018.2837502

    Draws are stratified by the five groups of patients that Info.cfg names: four diseases and none. Slices are about
    10 mm apart, and 1.5 mm within. Where ``testing`` has no masks, patients are held out for the test.

    Args:
        kwargs: as for ``VolumeCasesDataModule``.
    """

    landmarks = ("training/patient001",)

    @property
    def published(self) -> dict[str, int]:
        """Of the parts that are there."""
        return {"train+val+test": 300, "patients": 150} if (self.folder / "testing").is_dir() else {"patients": 100}

    @property
    def named(self) -> MaskLabels:
        """Of the challenge."""
        return MaskLabels(["right ventricle", "myocardium", "left ventricle"], {0: 0, 1: 1, 2: 2, 3: 3})

    @property
    def channels(self) -> list[str]:
        """One."""
        return ["MRI"]

    @property
    def cases(self) -> list[ListedCase]:
        """Frames with the name of a frame; the whole cycle in four axes is none.

        Raises:
            UserError: there are none, or Info.cfg does not say of a frame when it is.
        """
        files = [f"{part}/{file}" for part in ("training", "testing") for file in self._files(part)]
        masks = {file.replace("_gt.nii", ".nii"): file for file in files if "_gt.nii" in file}
        found = [match for file in files if (match := _FRAME.fullmatch(file))]
        if not found:
            raise self.absent(f"no patientNNN_frameXX.nii.gz in {self.folder}")
        return [
            ListedCase(
                name=match["name"],
                images=(match[0],),
                mask=masks.get(match[0], ""),
                split="train" if match["part"] == "training" else "test" if match[0] in masks else "predict",
                patient=match["patient"],
                domain=self._phase(match),
            )
            for match in found
        ]

    def strata_of(self, table: SampleTable) -> np.ndarray:
        """The group of each patient."""
        assert table.paths is not None
        groups = [self._facts(str(path).rpartition("/")[0]).get("Group", "") for path in table.paths]
        return np.array([[group == name for name in GROUPS] for group in groups])

    def _phase(self, frame: re.Match[str]) -> str:
        """``ED`` or ``ES``."""
        place = f"{frame['part']}/{frame['patient']}"
        facts = self._facts(place)
        phase = next((name for name in ("ED", "ES") if facts.get(name) == str(int(frame["frame"]))), None)
        if phase is None:
            raise UserError(
                f"Neither ED nor ES is frame {int(frame['frame'])}, that of {frame[0]}\n"
                f"in {self.folder / place / 'Info.cfg'}: {facts or 'no such file'}"
            )
        return phase

    def _facts(self, place: str) -> dict[str, str]:
        """What Info.cfg says, in lines such as ``ED: 1``."""
        path = self.folder / place / "Info.cfg"
        if not path.is_file():
            return {}
        lines = (line.partition(":") for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
        return {key.strip(): value.strip() for key, _, value in lines if key.strip()}

    def _files(self, part: str) -> list[str]:
        folder = self.folder / part
        return image_files(folder, (".nii", ".gz")) if folder.is_dir() else []
