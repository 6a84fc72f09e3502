"""Kermany's chest X-rays as Kaggle has them: a val folder of a few images, a nested copy, both kinds of names."""

from pathlib import Path

from support.images import save_picture


def build(root: Path, patients: int = 12) -> Path:
    """Write ``chest_xray/{train,val,test}``; every patient has two images, in training under two names or causes."""
    for part, count in (("train", patients), ("test", patients // 2)):
        for patient in range(1, count + 1):
            for image in range(2):
                seed = 100 * patient + image + 5000 * (part == "test")
                prefix = "NORMAL2-" if part == "train" and image else ""
                name = f"{prefix}IM-{patient:04d}-{image + 1:04d}.jpeg"
                save_picture(root / "chest_xray" / part / "NORMAL" / name, seed, (40, 52))
                cause = ("bacteria", "virus")[(patient + image) % 2]
                name = f"person{patient}_{cause}_{seed}.jpeg"
                save_picture(root / "chest_xray" / part / "PNEUMONIA" / name, 7 * seed, (36, 60))
    # One patient of val/ is a training patient, as the names of the real folder suggest.
    save_picture(root / "chest_xray/val/NORMAL/NORMAL2-IM-0001-0009.jpeg", 9, (40, 52))
    save_picture(root / "chest_xray/val/PNEUMONIA/person900_bacteria_1.jpeg", 10, (36, 60))
    save_picture(root / "chest_xray/chest_xray/train/PNEUMONIA/person1_bacteria_100.jpeg", 700, (36, 60))
    (root / "chest_xray/train/NORMAL/.DS_Store").write_bytes(b"\0")
    (root / "__MACOSX/chest_xray/train/PNEUMONIA").mkdir(parents=True)
    (root / "__MACOSX/chest_xray/train/PNEUMONIA/._person1_bacteria_100.jpeg").write_bytes(b"\0")
    return root
