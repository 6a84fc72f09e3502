"""NLM's malaria cells as Kaggle has them, a copy nested within, with the two patient maps of the NLM."""

from pathlib import Path

from support.images import save_picture

HEALTHY = ("C1_thinF", "C6NThinF", "C203ThinF", "C210ThinF", "C212ThinF")
INFECTED = (
    "C33P1thinF",
    "C37BP2_thinF",
    "C39P4thinF_original",
    "C47P8thin_Original_Motic",
    "C47P8thinOriginalOlympusCX21",  # the same patient through another microscope
    "C68P29N_ThinF",
    "C100P61ThinF",
    "C132P93ThinF",
    "C187P148NThinF",
)


def cells(patient: str, kind: int) -> list[str]:
    """Names of three cells in two photographs."""
    first, second = (f"{patient}_IMG_20150619_11475{photograph}" for photograph in ("6a", "7"))
    return [f"{first}_cell_{kind}79.png", f"{first}_cell_{kind}80.png", f"{second}_cell_{kind}1.png"]


def build(root: Path, maps: bool = True) -> Path:
    """Write ``cell_images/{Parasitized,Uninfected}``; infected patients have cells of both classes."""
    for kind, (label, patients) in enumerate((("Parasitized", INFECTED), ("Uninfected", INFECTED + HEALTHY))):
        rows = []
        for number, patient in enumerate(patients):
            names = cells(patient, kind)[: 2 + number % 2]
            for k, name in enumerate(names):
                save_picture(root / "cell_images" / label / name, 1000 * kind + 10 * number + k, (30 + 4 * k, 36))
            # No header, rows of unequal length filled up with empty cells, and a list as Python writes it.
            rows.append(f"{patient},{names!r}" + "," * (3 - len(names)))
        if maps:
            (root / f"patientid_cellmapping_{label.lower()}.csv").write_text("\n".join(rows) + "\n")
        (root / "cell_images" / label / "Thumbs.db").write_bytes(b"\0")
        save_picture(root / "cell_images/cell_images" / label / cells(patients[0], kind)[0], 1, (30, 36))
    return root
