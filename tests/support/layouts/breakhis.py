"""BreaKHis as unpacked: folders and files named differently, slides with letters, one under two subtypes, folds."""

from pathlib import Path

from support.images import save_picture

FOLDERS = {
    "A": "benign/SOB/adenosis",
    "F": "benign/SOB/fibroadenoma",
    "PT": "benign/SOB/phyllodes_tumor",
    "TA": "benign/SOB/tubular_adenoma",
    "DC": "malignant/SOB/ductal_carcinoma",
    "LC": "malignant/SOB/lobular_carcinoma",
    "MC": "malignant/SOB/mucinous_carcinoma",
    "PC": "malignant/SOB/papillary_carcinoma",
}
SLIDES = {
    "A": ("22549AB", "22549CD", "12465"),
    "F": ("14134", "14134E", "21998CD"),
    "PT": ("21998AB", "22704", "29315EF"),
    "TA": ("16184", "16184CD", "13200"),
    "DC": ("13412", "2523", "4364"),
    "LC": ("13412", "15570", "15570C"),
    "MC": ("18842", "18842D", "10147"),
    "PC": ("9146", "15687B", "190EF"),
}
"""13412 is under two subtypes; 21998 is, too, under names that differ in letters."""

TESTED = {
    1: {"SOB_B_A_14-12465", "SOB_B_PT_14-22704", "SOB_B_TA_14-16184CD", "SOB_M_LC_14-13412", "SOB_M_MC_14-10147"},
    2: {"SOB_B_TA_14-13200", "SOB_M_DC_14-2523", "SOB_M_PC_14-190EF"},
}
"""Folders of the test images of two published folds: in the first, patients stand on both sides."""


def build(root: Path) -> Path:
    """Write one image of each slide at each magnification, and two lists of folds."""
    lists: dict[int, list[str]] = {1: [], 2: []}
    for label, (code, slides) in enumerate(SLIDES.items()):
        kind = "B" if label < 4 else "M"
        for number, slide in enumerate(slides):
            folder = f"SOB_{kind}_{code}_14-{slide}"
            for magnification in (40, 100, 200, 400):
                name = f"SOB_{kind}_{code}-14-{slide}-{magnification}-{number + 1:03d}.png"
                place = root / "BreaKHis_v1/histology_slides/breast" / FOLDERS[code] / folder / f"{magnification}X"
                save_picture(place / name, 1000 * label + 10 * number + magnification, (23, 35))
                for fold, tested in TESTED.items():
                    lists[fold].append(f"{name}|{magnification}|{fold}|{'test' if folder in tested else 'train'}")
    (root / "BreaKHis_v1/histology_slides/breast/README.txt").write_text("not an image")
    (root / "BreaKHis_v1/histology_slides/breast/benign/SOB/._adenosis.png").write_bytes(b"\0")
    (root / "mkfold").mkdir()
    for fold, lines in lists.items():
        (root / f"mkfold/dsfold{fold}.txt").write_text("\n".join(lines) + "\n")
    return root
