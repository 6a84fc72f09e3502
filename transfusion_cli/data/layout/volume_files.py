"""Finding volumes in a tree."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from transfusion_cli.data.layout.tree import image_files
from transfusion_cli.data.volumes.files import ENDINGS

_SLICES = (".dcm", ".ima")


def volumes_below(folder: Path) -> list[str]:
    """Files that hold a volume and folders of DICOM slices below a folder, relative to it, sorted.

    Of pairs of a header and its voxels the one counts that is to be opened.
    """
    files = image_files(folder, {f".{known.rpartition('.')[2]}" for known in ENDINGS})
    found = [name for name in files if name.lower().endswith(ENDINGS)]
    pairs = {f"{name[:-4]}.img" for name in found if name.lower().endswith(".hdr")}
    series = {str(PurePosixPath(name).parent) for name in image_files(folder, _SLICES)}
    return sorted([name for name in found if name not in pairs] + sorted(series))
