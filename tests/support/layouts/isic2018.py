"""ISIC 2018 task 3 as its archives unpack: one-hot tables in folders of their own names, groupings beside them."""

from pathlib import Path

from support.images import save_picture

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")


def build(root: Path, lesions: int = 42, others: int = 14, labelled: bool = True) -> Path:
    """Write the three parts; every third lesion of the training images has two images.

    Args:
        root: Folder to write to.
        lesions: In training, of all seven classes in turn.
        others: Images for validation, and as many for the test.
        labelled: With the tables of validation and test.
    """
    names = [(lesion, copy) for lesion in range(lesions) for copy in range(1 + (lesion % 3 == 0))]
    images = [(f"ISIC_{24306 + number:07d}", lesion) for number, (lesion, _) in enumerate(names)]
    _part(root, "Training", images, True)
    lines = [f"{name},HAM_{lesion:07d},histopathology" for name, lesion in images]
    text = "\n".join(["image,lesion_id,diagnosis_confirm_type", *lines]) + "\n"
    (root / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(text)
    _part(root, "Validation", [(f"ISIC_{34321 + number:07d}", number) for number in range(others)], labelled)
    _part(root, "Test", [(f"ISIC_{34524 + number:07d}", number) for number in range(others)], labelled)
    return root


def _part(root: Path, part: str, images: list[tuple[str, int]], labelled: bool) -> None:
    lines = ["image," + ",".join(CLASSES)]
    for name, kind in images:
        save_picture(root / f"ISIC2018_Task3_{part}_Input" / f"{name}.jpg", int(name[5:]), (45, 60))
        lines.append(f"{name}," + ",".join("1.0" if k == kind % 7 else "0.0" for k in range(7)))
    (root / f"ISIC2018_Task3_{part}_Input" / "ATTRIBUTION.txt").write_text("CC BY-NC")
    if labelled:
        stem = f"ISIC2018_Task3_{part}_GroundTruth"
        (root / stem).mkdir()
        (root / stem / f"{stem}.csv").write_text("\n".join(lines) + "\n")
