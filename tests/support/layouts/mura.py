"""MURA as it unpacks: tables without headers whose paths name the archive, two signs per study, a Mac's leftovers."""

from pathlib import Path

from support.images import save_picture

PARTS = ("ELBOW", "FINGER", "FOREARM", "HAND", "HUMERUS", "SHOULDER", "WRIST")


def build(root: Path, patients: int = 28, test_patients: int = 14, folder: str = "mura") -> Path:
    """Write the four tables and PNG files in a folder that is not called as the paths in the tables say.

    Every third patient has a second study, of another part of the body and with the other finding; studies have one to
    three images. Studies of ``train`` end in a slash, those of ``valid`` do not.
    """
    numbers = {"train": range(1, patients + 1), "valid": range(11185, 11185 + test_patients)}
    for split, people in numbers.items():
        images, studies = [], []
        for patient in people:
            for study in range(1, 2 + (patient % 3 == 0)):
                sick = (patient // 7 + study) % 2
                part = PARTS[(patient + study) % 7]
                place = f"{split}/XR_{part}/patient{patient:05d}/study{study}_{('negative', 'positive')[sick]}"
                studies.append(f"MURA-v1.1/{place}{'/' if split == 'train' else ''},{sick}")
                for image in range(1, 2 + patient % 3):
                    name = f"{place}/image{image}.png"
                    save_picture(root / folder / name, 10 * patient + image, (40, 30 + patient % 10))
                    images.append(f"MURA-v1.1/{name}")
        (root / folder / f"{split}_image_paths.csv").write_text("\n".join(images) + "\n")
        (root / folder / f"{split}_labeled_studies.csv").write_text("\n".join(studies) + "\n")
    (root / folder / place / "._image1.png").write_bytes(b"\0")
    with (root / folder / "valid_image_paths.csv").open("a") as file:
        file.write(f"MURA-v1.1/{place}/._image1.png\n")
    return root
