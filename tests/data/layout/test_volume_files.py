from transfusion_cli.data.layout.volume_files import volumes_below


def test_volumes_of_all_formats_and_series(tmp_path):
    for name in (
        *("b/one.nii.gz", "a.NII", "c.mhd", "c.raw", "d.hdr", "d.img", "e.img", "b/._one.nii.gz", ".cache/x.nii"),
        *("scan/1.dcm", "scan/2.dcm", "table.csv.gz", "read.me"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert volumes_below(tmp_path) == ["a.NII", "b/one.nii.gz", "c.mhd", "d.hdr", "e.img", "scan"]
