"""What data sets of volumes share whose layout lists cases."""

from abc import abstractmethod

from transfusion_cli.data.layout.cases import CHANNELS
from transfusion_cli.data.volumes.base import VolumeDataModule
from transfusion_cli.datasets.families.cases import ListedCasesDataModule


class VolumeCasesDataModule(ListedCasesDataModule, VolumeDataModule):
    """Volumes with masks, one by one; a subclass says what their ``channels`` show, too.

    Args:
        kwargs: as for ``ListedCasesDataModule`` and ``VolumeDataModule``.
    """

    @property
    @abstractmethod
    def channels(self) -> list[str]:
        """What each channel shows: ``CT``, or anything else."""

    @property
    def labels(self) -> dict[int, int]:
        """What each value of a file is in a mask."""
        return self.mask_labels.values

    @property
    def in_chans(self) -> int:  # type: ignore[override]
        """How many channels there are."""
        return len(self.channels)

    @property
    def modality(self) -> list[str]:
        """Of each channel."""
        return self.channels

    def channel_files(self, path: str) -> list[str]:
        """Files of a case, one a channel, or one for all."""
        return path.split(CHANNELS)
