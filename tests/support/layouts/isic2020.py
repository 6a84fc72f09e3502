"""ISIC 2020 as the challenge has it, and as Kaggle does with DICOM files beside the JPEG files."""

from pathlib import Path

from support.images import save_picture

HEADER = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"


def build(root: Path, patients: int = 30, kaggle: bool = False) -> Path:
    """Write training images, three of each patient, one of them a melanoma in every third, and six test images.

    The first image of the second patient is listed as the duplicate of the first patient's first.

    Args:
        root: Folder to write to.
        patients: Of the training images.
        kaggle: ``train.csv`` and ``jpeg/``, and no list of duplicates.
    """
    lines = [HEADER]
    train, test = ("jpeg/train", "jpeg/test") if kaggle else ("train", "ISIC_2020_Test_Input")
    for image in range(3 * patients):
        name, target = f"ISIC_{15719 + image:07d}", int(image % 9 == 2)
        save_picture(root / train / f"{name}.jpg", image, (45, 60))
        finding = "melanoma,malignant" if target else "unknown,benign"
        lines.append(f"{name},IP_{image // 3:07d},male,45,torso,{finding},{target}")
    for image in range(6):
        save_picture(root / test / f"ISIC_{52060 + image:07d}.jpg", 900 + image, (45, 60))
    table = "train.csv" if kaggle else "ISIC_2020_Training_GroundTruth.csv"
    (root / table).write_text("\n".join(lines) + "\n")
    if kaggle:
        (root / "train").mkdir()
        (root / "train" / "ISIC_0015719.dcm").write_bytes(b"\0")
    else:
        text = "image_name_1,image_name_2\nISIC_0015719,ISIC_0015722\n"
        (root / "ISIC_2020_Training_Duplicates.csv").write_text(text)
    return root
