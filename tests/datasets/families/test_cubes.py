import pickle

import numpy as np
import pytest
import SimpleITK as sitk
from support.layouts.luna16 import save_scan

from transfusion_cli.datasets.families.cubes import AIR, CubeReader, VolumeFile, cube_of, windowed
from transfusion_cli.errors import UserError

TURNED = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])


@pytest.fixture
def scan(tmp_path):
    """A scan that lies turned and mirrored."""
    voxels = np.random.default_rng(0).integers(-900, 900, (9, 20, 24)).astype("<i2")
    save_scan(tmp_path / "scan.mhd", voxels, np.array([-7.0, 3, 40]), TURNED @ np.diag([-1, 1, 1]))
    return tmp_path / "scan.mhd"


def test_the_grid_is_that_of_simpleitk(scan):
    """Voxel for voxel, although the reader turns scans its own way."""
    ours, theirs = VolumeFile(scan), sitk.ReadImage(str(scan))
    for index in np.random.default_rng(1).integers(0, theirs.GetSize(), (8, 3)).tolist():
        place = ours.grid.index(np.array(theirs.TransformIndexToPhysicalPoint(index)))
        np.testing.assert_allclose(place, place.round(), atol=1e-6)
        assert ours.voxels[tuple(place.round().astype(int)[::-1])] == theirs[index]


@pytest.mark.parametrize("voxel", [1.0, 0.7, 2.0])
def test_cubes_are_those_of_simpleitk(scan, voxel):
    image = sitk.ReadImage(str(scan), sitk.sitkFloat32)
    centre, side = np.array(image.TransformContinuousIndexToPhysicalPoint((11.3, 9.6, 4.2))), 8
    grid = sitk.Image(side, side, side, sitk.sitkFloat32)
    grid.SetSpacing([voxel] * 3)
    grid.SetOrigin((centre - voxel * (side - 1) / 2).tolist())
    expected = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, AIR))
    ours = cube_of(VolumeFile(scan), centre, side, voxel)
    known = expected != AIR  # at the border theirs ends and ours fades into air
    assert known.mean() > 0.3
    same = np.isclose(ours, expected, atol=0.01)
    assert same[known].mean() > 0.99


def test_only_the_block_is_read(scan):
    image = VolumeFile(scan)
    read = []
    image.block = lambda start, stop: read.append(stop - start) or np.zeros(stop - start, np.int16)
    cube_of(image, image.grid.origin + image.grid.matrix @ [12, 10, 4], 4, 0.8)
    assert (read[0] <= 12).all()


def test_beyond_the_scan_is_air(scan):
    assert (cube_of(VolumeFile(scan), np.array([1000.0, 0, 0]), 6, 1.0) == AIR).all()


def test_a_reader_goes_to_other_processes(scan):
    reader = CubeReader(VolumeFile, [scan], np.zeros(1, int), np.array([[-10.0, 5, 50]]), 6, 1.0, (-1000, 600))
    first = reader(0)
    assert first.shape == (6, 6, 6) and first.dtype == np.uint8
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader))(0), first)
    other = CubeReader(VolumeFile, [scan], np.zeros(1, int), np.array([[-10.0, 5, 51]]), 6, 1.0, (-1000, 600))
    assert reader.describe() != other.describe()


def test_window():
    assert windowed(np.array([-2000.0, -1000, -100, 600, 3000]), (-1000, 600)).tolist() == [0, 0, 143, 255, 255]


def test_a_scan_is_mapped_and_a_damaged_one_named(scan):
    voxels = VolumeFile(scan).voxels
    while not isinstance(voxels, np.memmap):
        voxels = voxels.base
    scan.with_suffix(".raw").write_bytes(b"short")
    with pytest.raises(UserError, match=r"scan\.mhd"):
        VolumeFile(scan)
