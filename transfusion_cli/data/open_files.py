"""What data sets of image files share that anybody may fetch."""

from pathlib import Path
from typing import Any

from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.open_archives import OPEN_ARCHIVES
from transfusion_cli.errors import UserError


class OpenFilesDataModule(ImageFilesDataModule):
    """A public data set of image files that the module can fetch itself.

    A subclass names its ``archive``.

    Args:
        download: fetch the data into ``root``, with their checksums, if they are not there.
        kwargs: as for ``MedicalDataModule``.
    """

    def __init__(self, download: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.download = download

    @property
    def archive(self) -> str:
        """Key of ``OPEN_ARCHIVES``."""
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Download what is absent, if asked."""
        if self.download:
            if self.root is None:
                raise self.absent("data.root is not set")
            self._fetch(self.root)
        super().prepare_data()

    def absent(self, what: str) -> UserError:
        """The error for something missing, which offers the download."""
        return UserError(str(super().absent(what)).replace("\nThen ", ", or add --data.download true\nThen "))

    def _fetch(self, root: Path) -> None:
        files = OPEN_ARCHIVES[self.archive]
        if not any((root / file.gives).exists() for file in files) and self._is_there():
            return  # unpacked by the user, in a layout of their own
        for file in files:
            file.fetch(root)

    def _is_there(self) -> bool:
        try:
            return self.folder.is_dir()
        except UserError:
            return False
