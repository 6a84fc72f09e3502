"""Every format against SimpleITK's or nibabel's own reading of it."""

import gzip
import struct

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from transfusion_cli.data.volumes.files import read_volume, write_labels
from transfusion_cli.errors import Fault, UserError

RNG = np.random.default_rng(0)
ARRAY = RNG.integers(-1000, 1000, (4, 6, 5)).astype(np.int16)  # z, y, x
C, S = np.cos(0.3), np.sin(0.3)
OBLIQUE = [[C, -S, 0], [S, C, 0], [0, 0, 1]]
REVERSED = [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]  # as some scans of LUNA16
SAGITTAL = [[0, 0, 1], [1, 0, 0], [0, -1, 0]]


def image(direction, array=ARRAY, vector=False):
    made = SimpleITK.GetImageFromArray(array, isVector=vector)
    made.SetSpacing((0.7, 0.8, 2.5))
    made.SetOrigin((-100.0, 30.0, 7.5))
    made.SetDirection(np.ravel(direction).astype(float).tolist())
    return made


def at(volume, point):
    """Value at the voxel that is nearest to a point of ITK's world, left, back and top in mm."""
    place = np.linalg.solve(volume.affine, [-point[0], -point[1], point[2], 1])[:3]
    assert np.allclose(place, place.round(), atol=1e-3)
    return volume.array[(0, *place.round().astype(int))]


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, REVERSED, SAGITTAL])
@pytest.mark.parametrize("name", ["a.mhd", "packed.mhd", "a.mha", "a.nrrd", "a.nhdr", "a.nii", "a.nii.gz"])
def test_each_voxel_is_where_simpleitk_has_it(tmp_path, name, direction):
    made = image(direction)
    SimpleITK.WriteImage(made, str(tmp_path / name), useCompression=name != "a.mhd")
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == np.int16 and sorted(volume.shape) == [4, 5, 6]
    for index in RNG.integers(0, (5, 6, 4), (40, 3)).tolist():
        assert at(volume, made.TransformIndexToPhysicalPoint(index)) == made[index]


def is_mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.mark.parametrize("name", ["a.mhd", "a.nii"])
def test_plain_files_are_mapped(tmp_path, name):
    SimpleITK.WriteImage(image(REVERSED), str(tmp_path / name))
    assert is_mapped(read_volume(tmp_path / name).array)


def test_big_endian_raw(tmp_path):
    SimpleITK.WriteImage(image(np.eye(3)), str(tmp_path / "a.mhd"))
    plain = read_volume(tmp_path / "a.mhd").array.copy()
    text = (tmp_path / "a.mhd").read_text().replace("MSB = False", "MSB = True")
    (tmp_path / "a.mhd").write_text(text)
    (tmp_path / "a.raw").write_bytes(ARRAY.astype(">i2").tobytes())
    assert np.array_equal(read_volume(tmp_path / "a.mhd").array, plain)


def test_channels(tmp_path):
    channels = RNG.integers(0, 99, (5, 6, 4, 3)).astype(np.int16)  # i, j, k, channel
    nibabel.save(nibabel.Nifti1Image(channels, np.diag([-1, -1, 1, 1])), tmp_path / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(channels[:, :, :, None], np.diag([-1, -1, 1, 1])), tmp_path / "b.nii.gz")
    SimpleITK.WriteImage(image(np.eye(3), channels.transpose(2, 1, 0, 3), vector=True), str(tmp_path / "c.nrrd"))
    for name in ("a.nii.gz", "b.nii.gz", "c.nrrd"):
        assert np.array_equal(read_volume(tmp_path / name).array, channels.transpose(3, 2, 1, 0)), name


def test_scaled_and_double_values_are_float32(tmp_path):
    scaled = nibabel.Nifti1Image(ARRAY, np.eye(4))
    scaled.header.set_slope_inter(0.5, -3)
    nibabel.save(scaled, tmp_path / "a.nii")
    with open(tmp_path / "a.nii", "r+b") as file:  # nibabel divides by the slope: put the values back
        file.seek(352)
        file.write(ARRAY.T.tobytes())
        file.seek(112)
        file.write(struct.pack("<ff", 0.5, -3))
    volume = read_volume(tmp_path / "a.nii")
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.orientation.undo(volume.array)[0], ARRAY * 0.5 - 3)
    nibabel.save(nibabel.Nifti1Image(ARRAY / 7, np.eye(4)), tmp_path / "b.nii")
    assert read_volume(tmp_path / "b.nii").array.dtype == np.float32


def slices(folder, heights):
    folder.mkdir()
    series = generate_uid()
    for place, height in enumerate(heights):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.SeriesInstanceUID, header.StudyInstanceUID, header.Modality = series, series, "CT"
        header.ImagePositionPatient, header.ImageOrientationPatient = [-100, 30, height], [1, 0, 0, 0, 1, 0]
        header.PixelSpacing, header.SliceThickness, header.InstanceNumber = [0.8, 0.7], 2.5, place + 1
        header.RescaleSlope, header.RescaleIntercept = 1, -1024
        header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        header.Rows, header.Columns = ARRAY.shape[1:]
        header.PixelData = (ARRAY[place % 4].astype(np.int32) + 1024).astype(np.uint16).tobytes()
        pydicom.dcmwrite(folder / f"{9 - place}.dcm", header, enforce_file_format=True)


def test_a_series_of_slices(tmp_path):
    slices(tmp_path / "series", [7.5, 10, 12.5, 15])
    volume = read_volume(tmp_path / "series")
    assert np.array_equal(volume.array[0], ARRAY) and volume.spacing == pytest.approx([2.5, 0.8, 0.7])
    assert (volume.affine @ [0, 0, 0, 1])[:3] == pytest.approx([100, -30, 7.5])
    path = write_labels(volume, np.ones(volume.shape, np.uint8), tmp_path / "series", tmp_path, "case")
    assert path.name == "case.nii.gz" and read_volume(path).differs_from(volume) == ""


@pytest.mark.parametrize("heights", [[0, 2.5, 7.5, 10], [0, 2.5, 2.5, 5]])
def test_a_series_with_a_gap(tmp_path, heights):
    slices(tmp_path / "series", heights)
    with pytest.raises(UserError, match="one is missing or there twice"):
        read_volume(tmp_path / "series")


def broken(path):
    """A file of each name that cannot be read, and what is said of it."""
    match path.name:
        case "short.nii.gz":
            nibabel.save(nibabel.Nifti1Image(RNG.integers(0, 9999, (40, 40, 9), dtype=np.int16), np.eye(4)), path)
            path.write_bytes(path.read_bytes()[:5000])
        case "huge.nii.gz":
            header = nibabel.Nifti1Header()
            header.set_data_shape((30000, 30000, 30000))
            path.write_bytes(gzip.compress(header.binaryblock + bytes(2000)))
        case "nan.nii":
            nibabel.save(nibabel.Nifti1Image(np.array([[[1, np.nan]]], np.float32), np.eye(4)), path)
        case "short.mhd":
            SimpleITK.WriteImage(image(np.eye(3)), str(path))
            path.with_suffix(".raw").write_bytes(b"12")
        case "empty":
            path.mkdir()
        case "flat.mha":
            SimpleITK.WriteImage(SimpleITK.Image(4, 4, SimpleITK.sitkInt16), str(path))
        case _:
            path.write_bytes(b"nothing of the kind")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("short.nii.gz", ""),
        ("huge.nii.gz", "voxels, where a volume may have"),
        ("nan.nii", "not finite"),
        ("short.mhd", "short.raw is shorter than its header says"),
        ("empty", "0 DICOM series"),
        ("flat.mha", "2 axes"),
        ("junk.nii", ""),
        ("junk.nrrd", ""),
        ("scan.txt", "its ending is none of"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, said):
    broken(tmp_path / name)
    with pytest.raises(UserError) as error:
        read_volume(tmp_path / name)
    assert str(tmp_path / name) in str(error.value) and said in str(error.value)
    assert len(str(error.value).splitlines()) == 3


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_volume(tmp_path / "a.nii.gz")


SKEWED = np.array([[0.7 * C, -0.8 * S, 0.4, -90], [0.7 * S, 0.8 * C, 0, 40], [0, 0.1, -2.5, 300], [0, 0, 0, 1]])


@pytest.mark.parametrize("affine", [np.diag([-0.7, 0.8, -2.5, 1]), SKEWED])
@pytest.mark.parametrize("codes", [(1, 1), (0, 2), (1, 0)])
def test_labels_open_with_the_affine_of_their_image(tmp_path, affine, codes):
    source = nibabel.Nifti1Image(ARRAY, None)
    source.set_qform(affine, code=codes[0])
    source.set_sform(affine, code=codes[1])
    nibabel.save(source, tmp_path / "image.nii.gz")
    source = nibabel.load(tmp_path / "image.nii.gz")
    volume = read_volume(tmp_path / "image.nii.gz")
    labels = (volume.array[0] > 300).astype(np.uint8)
    path = write_labels(volume, labels, tmp_path / "image.nii.gz", tmp_path / "out", "case")
    assert path == tmp_path / "out" / "case.nii.gz" and [file.name for file in path.parent.iterdir()] == [path.name]
    written = nibabel.load(path)
    assert np.array_equal(written.affine, source.affine) and written.get_data_dtype() == np.uint8
    assert written.header["qform_code"] == codes[0] and written.header["sform_code"] == codes[1]
    assert np.array_equal(np.asarray(written.dataobj), ARRAY > 300)


@pytest.mark.parametrize("direction", [OBLIQUE, REVERSED, SAGITTAL])
@pytest.mark.parametrize("name", ["a.mhd", "a.mha", "a.nrrd", "a.nii"])
def test_labels_in_the_format_of_their_image(tmp_path, name, direction):
    SimpleITK.WriteImage(image(direction), str(tmp_path / name))
    volume = read_volume(tmp_path / name)
    labels = np.where(volume.array[0] > 300, 7, 0).astype(np.uint8)
    path = write_labels(volume, labels, tmp_path / name, tmp_path / "out", "case")
    source, written = SimpleITK.ReadImage(str(tmp_path / name)), SimpleITK.ReadImage(str(path))
    assert (
        path.name == f"case{(tmp_path / name).suffix}" and written.GetPixelIDTypeAsString() == "8-bit unsigned integer"
    )
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(written), np.where(SimpleITK.GetArrayFromImage(source) > 300, 7, 0)
    )
    for fact in ("GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(written, fact)() == pytest.approx(getattr(source, fact)(), abs=1e-6)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    SimpleITK.WriteImage(image(np.eye(3)), str(tmp_path / "a.mha"))
    volume = read_volume(tmp_path / "a.mha")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(Fault, match="Could not write"):
        write_labels(volume, np.zeros(volume.shape, np.uint8), tmp_path / "a.mha", tmp_path / "out", "case")
