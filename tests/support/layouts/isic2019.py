"""ISIC 2019 as its archives unpack: names with and without ``_downsampled``, lesions that are not known, and UNK."""

from pathlib import Path

from support.images import save_picture

CLASSES = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
SOURCES = ("HAM_", "BCN_", "MSK4_", "")


def build(root: Path, lesions: int = 64, test: int = 18, labelled: bool = False) -> Path:
    """Write training and test images; of the lesions with an id every third has two images.

    Args:
        root: Folder to write to.
        lesions: In training, of the eight classes in turn, from three sources or, every fourth, without a lesion id.
        test: Images for the test.
        labelled: With the table of the test, in which every ninth is UNK.
    """
    names, lines = [], ["image,age_approx,anatom_site_general,lesion_id,sex"]
    for lesion in range(lesions):
        source = SOURCES[lesion // 8 % 4]
        for copy in range(1 + (lesion % 3 == 0 and source != "")):
            name = f"ISIC_{2 * lesion + copy:07d}" + "_downsampled" * (source == "MSK4_")
            names.append((name, lesion % 8))
            told = name.removesuffix("_downsampled") if lesion == 18 else name  # so are some, in one table of two
            lines.append(f"{told},,anterior torso,{source and f'{source}{lesion:07d}'},female")
    root.mkdir(parents=True, exist_ok=True)
    (root / "ISIC_2019_Training_Metadata.csv").write_text("\n".join(lines) + "\n")
    _images(root, "Training", names)
    tests = [(f"ISIC_{53000 + number:07d}", number % 9) for number in range(test)]
    _images(root, "Test", tests)
    if not labelled:
        (root / "ISIC_2019_Test_GroundTruth.csv").unlink()
    return root


def _images(root: Path, part: str, images: list[tuple[str, int]]) -> None:
    lines = ["image," + ",".join(CLASSES) + (",score_weight,validation_weight" if part == "Test" else "")]
    for name, kind in images:
        save_picture(root / f"ISIC_2019_{part}_Input" / f"{name}.jpg", int(name[5:12]), (45, 60))
        lines.append(f"{name}," + ",".join("1.0" if k == kind else "0.0" for k in range(9)))
        lines[-1] += ",1.0,0.0" if part == "Test" else ""
    (root / f"ISIC_2019_{part}_GroundTruth.csv").write_text("\n".join(lines) + "\n")
