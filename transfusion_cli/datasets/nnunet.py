"""The user's own volumes in nnU-Net's raw layout."""

from pathlib import Path

from transfusion_cli.data.layout.cases import ListedCase
from transfusion_cli.data.layout.nnunet import join_channels
from transfusion_cli.data.reading.images import EXTENSIONS
from transfusion_cli.datasets.families.nnunet_layout import NNUNetLayout
from transfusion_cli.datasets.families.volume_cases import VolumeCasesDataModule
from transfusion_cli.errors import UserError


class NNUNetDataModule(NNUNetLayout, VolumeCasesDataModule):
    """Your own volumes in the raw layout of nnU-Net, version 2.

    Source: your own disk
    Layout: dataset.json, imagesTr/CASE_0000.nii.gz (CASE_0001.nii.gz and so on for further channels),
        labelsTr/CASE.nii.gz; optionally imagesTs, labelsTs and splits_final.json
    Group: patient, from the names of the cases

    The files may have any ending that ``dataset.json`` names, and the cases may lie anywhere where it lists them in
    ``dataset``. The label ``ignore`` is left out of losses and metrics. Of ``imagesTs`` the cases with a mask in
    ``labelsTs`` are the test, the others are for ``predict``. nnU-Net deals cases to folds whosever they are: where
    several are of one patient, say how the name tells by ``patient_pattern``; with it a fold that parts a patient is
    an error.

    Args:
        kwargs: as for ``NNUNetLayout`` and ``VolumeDataModule``.
    """

    @property
    def channels(self) -> list[str]:
        """As in ``dataset.json``."""
        return self.data.channels

    @property
    def cases(self) -> list[ListedCase]:
        """All that there are, split by the fold.

        Raises:
            UserError: the files are no volumes.
        """
        if self.data.ending.lower() in EXTENSIONS:
            raise UserError(
                f"Files that end in {self.data.ending} are images, not volumes\nin {self.folder}\n"
                "Read them by --data NNUNetImagesDataModule."
            )
        return super().cases

    def files_in(self, folder: Path) -> list[str]:
        """Every case below the folder, in one file a channel as nnU-Net calls them, or else in one file."""
        return join_channels(super().files_in(folder), self.in_chans)
