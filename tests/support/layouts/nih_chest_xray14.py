"""NIH ChestX-ray14 as Kaggle has it: two image folders, the broken header, the older table's odd values, the lists."""

from pathlib import Path

from support.images import save_picture

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOXES = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def build(root: Path, patients: int = 42) -> Path:
    """Write two images for each patient: the first with two findings, the second with one or none."""
    rows, lists = [HEADER], {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(1, patients + 1):
        one, other = FINDINGS[patient % 14], FINDINGS[(patient + 1) % 14]
        for image, labels in enumerate((f"{one}|{other}", other if patient % 2 else "No Finding")):
            name = f"{patient:08d}_{image:03d}.png"
            save_picture(root / f"images_{1 + patient % 2:03d}" / "images" / name, 10 * patient + image, (32, 32))
            view = ("PA", "AP")[(patient + image) % 2]
            age = 411 if patient == 3 else 50  # the older table has such ages
            rows.append(f"{name},{labels},{image},{patient},{age},F,{view},2682,2749,0.143,0.143,")
            lists["test_list.txt" if patient > 2 * patients // 3 else "train_val_list.txt"].append(name)
    (root / "Data_Entry_2017.csv").write_text("\n".join(rows) + "\n")
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines))
    (root / "BBox_List_2017.csv").write_text(
        f"{BOXES}\n00000001_000.png,Infiltrate,225.08,547.01,86.77,79.18,,,\n00000002_000.png,Mass,0,1,2.5,3,,,\n"
    )
    # A smaller copy of the images, as people make them, is not what the table means.
    save_picture(root / "images-224" / "00000001_000.png", 1, (8, 8))
    (root / "images_001/images/.DS_Store").write_bytes(b"\0")
    return root
