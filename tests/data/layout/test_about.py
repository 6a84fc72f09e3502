import inspect

import transfusion_cli.datasets as datasets
from transfusion_cli.data.image_files import ImageFilesDataModule
from transfusion_cli.data.layout.about import FIELDS, about

TEXT = """A data set.

Source: https://somewhere/else
    and another place
Group: patient
Counts: 3 images

Classes: no field after the prose begins? It is one too.

Args:
    Source: not a field, for it is indented.
"""


def test_fields_of_a_docstring():
    facts = about(TEXT)
    assert facts["Source"] == "https://somewhere/else and another place"
    assert facts["Group"] == "patient" and facts["Counts"] == "3 images"
    assert about(None) == about("Nothing of the kind.") == {}


def test_every_public_data_set_says_all_of_them():
    classes = [getattr(datasets, name) for name in datasets.__all__]
    public = [cls for cls in classes if issubclass(cls, ImageFilesDataModule)]
    assert len(public) > 15
    for cls in public:
        assert set(about(inspect.getdoc(cls))) == set(FIELDS), cls.__name__
        assert cls.landmarks or "folder" in vars(cls), cls.__name__
