"""Openly licensed data that ``--data.download true`` fetches: where they are, and how large and how whole they must be.

Only files whose checksum is public stand here; for the other data sets ``absent`` says where to get them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfusion_cli.data.layout.download import download, fetch_archive

_TFDS = "https://github.com/tensorflow/datasets, tensorflow_datasets/"


@dataclass(frozen=True)
class OpenFile:
    """A file that may be fetched without registration.

    Args:
        url: where it is.
        gives: its name on disk or, of an archive, the folder that it holds.
        checksum: MD5 (32 digits) or SHA-256 (64).
        size: bytes, if published.
        licence: under which it is published.
        checksum_from: where checksum and size are written.
    """

    url: str
    gives: str
    checksum: str
    size: int | None
    licence: str
    checksum_from: str

    def fetch(self, folder: Path) -> None:
        """Put the file, or what the archive holds, into a folder; nothing is done where it is there already.

        Raises:
            UserError: as ``download`` and ``fetch_archive``.
        """
        if self.url.partition("?")[0].endswith(self.gives):
            download(self.url, folder / self.gives, self.checksum, self.size)
        else:
            fetch_archive(self.url, folder, self.gives, self.checksum, self.size)


def _malaria(name: str, checksum: str, size: int | None, checksum_from: str) -> OpenFile:
    url = f"https://data.lhncbc.nlm.nih.gov/public/Malaria/{name}"
    licence = "public domain (United States government)"
    return OpenFile(url, name.removesuffix(".zip"), checksum, size, licence, checksum_from)


def _nct(name: str, checksum: str, size: int | None) -> OpenFile:
    url = f"https://zenodo.org/records/1214456/files/{name}.zip?download=1"
    return OpenFile(url, name, checksum, size, "CC BY 4.0", "https://zenodo.org/records/1214456")


def _pcam(part: str, checksum: str, size: int) -> OpenFile:
    name = f"camelyonpatch_level_2_split_{part}.h5.gz"
    url = f"https://zenodo.org/records/2546921/files/{name}?download=1"
    return OpenFile(url, name, checksum, size, "CC0", _TFDS + "datasets/patch_camelyon/checksums.tsv")


_MAPS_FROM = "https://github.com/galilai-group/stable-datasets, loader of the malaria cells"
_NCT_TEST = _nct("CRC-VAL-HE-7K", "2fd1651b4f94ebd818ebf90ad2b6ce06", 800_276_929)

OPEN_ARCHIVES: dict[str, tuple[OpenFile, ...]] = {
    "malaria": (
        _malaria(
            "patientid_cellmapping_parasitized.csv",
            "d0367e513397404e980baee2a641bce9ce329a22e62ea9007962dfca2f8418d3",
            None,
            _MAPS_FROM,
        ),
        _malaria(
            "patientid_cellmapping_uninfected.csv",
            "a8577b21e7154724f4bbd18326218e2c63a99b22ab372b79a7530d36df6dab78",
            None,
            _MAPS_FROM,
        ),
        _malaria(
            "cell_images.zip",
            "0a949556b2414159b5100192609805376654c4266d8d187be9b1922fad43c668",
            353_452_851,
            _TFDS + "datasets/malaria/checksums.tsv",
        ),
    ),
    "kather_colorectal": (
        OpenFile(
            "https://zenodo.org/records/53169/files/Kather_texture_2016_image_tiles_5000.zip?download=1",
            "Kather_texture_2016_image_tiles_5000",
            "936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
            258_098_431,
            "CC BY 4.0",
            _TFDS + "url_checksums/colorectal_histology.txt",
        ),
    ),
    "nct_crc": (_NCT_TEST, _nct("NCT-CRC-HE-100K", "6fd702d11df6292bc054397ae038a464", 11_690_284_003)),
    "nct_crc_nonorm": (_NCT_TEST, _nct("NCT-CRC-HE-100K-NONORM", "035777cf327776a71a05c95da6d6325f", None)),
    "patch_camelyon": (
        _pcam("test_y", "0a522005fccc8bbd04c5a117bfaf81d8da2676f03a29d7499f71d0a0bd6068ef", 3_040),
        _pcam("valid_y", "ce1ae30f08feb468447971cfd0472e7becd0ad96d877c64120c72571439ae48c", 3_038),
        _pcam("train_y", "b74126d2c01b20d3661f9b46765d29cf4e4fba6faba29c8e0d09d406331ab75a", 21_378),
        _pcam("test_x", "79174c2201ad521602a5888be8f36ee10875f37403dd3f2086caf2182ef87245", 800_875_929),
        _pcam("valid_x", "f82ee1670d027b4ec388048d9eabc2186b77c009655dae76d624c0ecb053ccb2", 805_965_320),
        _pcam("train_x", "d619e741468a7ab35c7e4a75e6821b7e7e6c9411705d45708f2a0efc8960656c", 6_421_353_462),
    ),
}
"""Name of a data set to its files, the largest last: only when it is there is the data set found."""
