"""RSNA pneumonia, stage 2: one row per box, DICOM files (half of them JPEG inside), the mapping, unlabelled images."""

import io
import json
from pathlib import Path

from PIL import Image
from support.images import picture, save_dicom

CLASSES = ("Normal", "No Lung Opacity / Not Normal", "Lung Opacity")


def build(root: Path, images: int = 60) -> Path:
    """Write images of which every three neighbours are one NIH patient; positives have one box or two."""
    labels, classes, mapping = ["patientId,x,y,width,height,Target"], ["patientId,class"], []
    for number in range(images):
        name, kind = image_id(number), number // 2 % 3
        boxes = [f"{100 + k}.0,152.0,213.0,379.0,1" for k in range(1 + number % 2)] if kind == 2 else [",,,,0"]
        for box in boxes:
            labels.append(f"{name},{box}")
            classes.append(f"{name},{CLASSES[kind]}")
        save_image(root / "stage_2_train_images" / f"{name}.dcm", number)
        mapping.append({"subset_img_id": name, "img_id": f"{number // 3:08d}_{number % 3:03d}.png", "orig_labels": []})
    for number in range(images, images + 4):
        save_image(root / "stage_2_test_images" / f"{image_id(number)}.dcm", number)
        mapping.append({"subset_img_id": image_id(number), "img_id": "00000000_009.png", "orig_labels": []})
    (root / "stage_2_train_labels.csv").write_text("\n".join(labels) + "\n")
    (root / "stage_2_detailed_class_info.csv").write_text("\n".join(classes) + "\n")
    (root / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(mapping))
    (root / "stage_2_sample_submission.csv").write_text("patientId,PredictionString\n")
    return root


def image_id(number: int) -> str:
    """A UUID, as the challenge names images."""
    return f"{number * 7919:08x}-14fd-4e49-80ba-63a80b6bddd6"


def save_image(path: Path, number: int) -> None:
    """Write an 8-bit DICOM file; every second one holds a baseline JPEG, as the real ones do."""
    import pydicom
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    pixels = picture(number, (32, 32))
    save_dicom(path, pixels, 8, ViewPosition="AP")
    if number % 2:
        jpeg = io.BytesIO()
        Image.fromarray(pixels).save(jpeg, "JPEG", quality=95)
        file = pydicom.dcmread(path)
        file.PixelData = encapsulate([jpeg.getvalue()])
        file["PixelData"].is_undefined_length = True
        file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file.save_as(path)
