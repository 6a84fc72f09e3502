"""Messidor-2: the grades from Kaggle beside the images and the pairs from ADCIS, whose names do not quite agree."""

from pathlib import Path

from support.fundus import save_fundus

UNGRADABLE = 3


def build(root: Path, examinations: int = 30, other_header: bool = False, pairs: bool = True) -> Path:
    """Write IMAGES/, messidor_data.csv and messidor-2.csv; every third examination is one of the extension."""
    rows, couples = [], ["left;right"]
    for number in range(examinations):
        eyes = []
        for eye in range(2):
            code = 2 * number + eye
            # The table says .jpg where the file says .JPG.
            named, on_disk = (f"IM{code:06d}.jpg", ".JPG") if number % 3 == 0 else (f"2005_{code:05d}_PP.png", ".png")
            save_fundus(root / "IMAGES" / (Path(named).stem + on_disk), code)
            eyes.append(Path(named).stem + on_disk)
            grade = min(4, number % 5 + (eye if number % 4 == 0 else 0))
            ungradable = code < UNGRADABLE
            rows.append(f"{named},{'' if ungradable else grade},{'' if ungradable else 0},{int(not ungradable)}")
        couples.append(";".join(eyes))
    columns = "id_code,diagnosis" if other_header else "image_id,adjudicated_dr_grade"
    header = f"{columns},adjudicated_dme,adjudicated_gradable"
    (root / "messidor_data.csv").write_text("\n".join([header, *rows]) + "\n")
    if pairs:
        (root / "messidor-2.csv").write_text("\ufeff" + "\r\n".join(couples) + "\r\n", encoding="utf-8")
    return root
