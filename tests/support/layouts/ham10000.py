"""HAM10000 as Kaggle has it (two folders of images, one of them twice) and as Dataverse does."""

from pathlib import Path

from support.images import save_picture

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
HEADER = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]


def build(root: Path, lesions: int = 70, dataverse: bool = False, test: int = 0) -> Path:
    """Write the metadata and JPEG files; every third lesion has two images, one in either folder.

    Args:
        root: Folder to write to.
        lesions: Of all seven classes in turn.
        dataverse: Metadata without suffix, with tabs and the column ``dataset``, and images in one folder.
        test: Images of the test set that Dataverse adds, with a last one that has no label.
    """
    folder = root / ("dataverse_files" if dataverse else "skin-cancer-mnist-ham10000")
    rows = [HEADER + ["dataset"] * dataverse]
    number = 24306
    for lesion in range(lesions):
        for copy in range(1 + (lesion % 3 == 0)):
            name = f"ISIC_{number:07d}"
            number += 1
            place = "images" if dataverse else f"HAM10000_images_part_{1 + copy}"
            save_picture(folder / place / f"{name}.jpg", number, (45, 60))
            told = [f"HAM_{lesion:07d}", name, CLASSES[lesion % 7], "histo", "", "male", "scalp"]
            rows.append(told + [("vidir_modern", "rosendahl")[lesion % 2]] * dataverse)
    separator, name = ("\t", "HAM10000_metadata") if dataverse else (",", "HAM10000_metadata.csv")
    (folder / name).write_text("\n".join(separator.join(row) for row in rows) + "\n")
    if not dataverse:  # Kaggle's archive holds the folders once more, in small letters.
        save_picture(folder / "ham10000_images_part_1" / "ISIC_0024306.jpg", 24307, (45, 60))
    save_picture(folder / "HAM10000_segmentations" / "ISIC_0024306_segmentation.png", 1, (45, 60))
    if test:
        rows = [HEADER]
        for image in range(test + 1):
            name = f"ISIC_{34524 + image:07d}"
            save_picture(folder / "ISIC2018_Task3_Test_Images" / f"{name}.jpg", 90 + image, (45, 60))
            rows.append([f"HAM_{9000 + image // 2:07d}", name, CLASSES[image // 2 % 7], "histo", "50", "male", "scalp"])
        text = "\n".join(",".join(row) for row in rows[:-1]) + "\n"
        (folder / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(text)
    return root
