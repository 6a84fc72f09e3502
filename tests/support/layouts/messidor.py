"""Messidor's twelve folders of TIFFs with their old Excel tables, which vary in name, headers and spelling."""

import shutil
from pathlib import Path

import xlwt
from support.fundus import save_fundus

BASES = [f"Base{department}{part}" for department in (1, 2, 3) for part in (1, 2, 3, 4)]
DEPARTMENTS = {
    "1": ("Service Ophtalmologie Lariboisière", "Service Ophtalmologie Lariboisiere "),
    "2": ("LaTIM - CHU de BREST", "LaTIM -  CHU de Brest"),
    "3": ("CHU de St Etienne", "CHU de St Étienne / Etienne"),
}
PUBLISHED = {"20051020_63045_0100_PP": 3, "20060523_48477_0100_PP": 2}
"""Two of the images with a published correction, and what their tables say."""


def build(root: Path, images: int = 8) -> Path:
    """Write ``Base11`` to ``Base34``; Base33 holds two images twice, one of them with two grades."""
    for number, base in enumerate(BASES):
        rows = []
        for image in range(images):
            name = f"200510{number:02d}_{40000 + image}_0100_PP.tif"
            save_fundus(root / base / name, 100 * number + image)
            rows.append((name, (number + image) % 4, image % 3))
        if base == "Base33":
            for copy, original, grade in (("a", 0, rows[0][1]), ("b", 1, (rows[1][1] + 1) % 4)):
                name = f"20051099_{copy}_0400_PP.tif"
                shutil.copy(root / base / rows[original][0], root / base / name)
                rows.append((name, grade, 0))
        rows += [(f"{name}.tif", grade, 0) for name, grade in PUBLISHED.items() if base == _base_of(name)]
        _write_xls(root / base / _name(base), rows, DEPARTMENTS[base[4]][number % 2], number)
    for name in PUBLISHED:
        save_fundus(root / _base_of(name) / f"{name}.tif", len(name) + PUBLISHED[name])
    first = root / "Base14" / "20051003_40000_0100_PP.tif"
    first.rename(first.with_suffix(".TIF"))
    (root / "Base11" / "._Annotation_Base11.xls").write_bytes(b"\0")
    (root / "Base11.zip").write_bytes(b"PK")
    return root


def _base_of(name: str) -> str:
    return "Base11" if name.startswith("20051020") else "Base13"


def _name(base: str) -> str:
    return f"Annotation {base}.xls" if base == "Base12" else f"Annotation_{base}.xls"


def _write_xls(path: Path, rows: list[tuple[str, int, int]], department: str, number: int) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Feuil1")
    space = " " if number % 2 else ""
    header = ("Image name", "Ophthalmologic department", "Retinopathy grade", f"Risk of macular edema{space}")
    for column, text in enumerate(header):
        sheet.write(0, column, text)
    for line, (name, grade, risk) in enumerate(rows, 1):
        for column, value in enumerate((name, department, grade, risk)):
            sheet.write(line, column, value)
    book.save(str(path))
