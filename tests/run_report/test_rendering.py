"""Texts that mean something to Markdown are shown as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfusion_cli.run_report.pictures import DPI, thumbnail
from transfusion_cli.run_report.rendering import escaped, fence
from transfusion_cli.run_report.section import width_of


@given(st.text())
def test_escaping_can_be_undone_and_leaves_nothing_special(text):
    safe = escaped(text)
    bare, at = [], 0
    while at < len(safe):
        if safe[at] == "\\":
            at += 1
        else:
            assert safe[at] not in "`*_{}[]<>|#~$&\n"
        bare.append(safe[at])
        at += 1
    assert "".join(bare) == " ".join(text.split())


@given(st.text(alphabet="`a\n"))
def test_a_fence_is_longer_than_what_it_holds(text):
    assert fence(text) not in text and len(fence(text)) >= 3


@pytest.mark.parametrize(("shape", "size"), [((40, 20), (56, 112)), ((300, 600, 3), (112, 56)), ((4, 8, 8), (112, 37))])
def test_thumbnails_are_small(shape, size):
    import io

    import numpy as np
    from PIL import Image

    for image in (np.zeros(shape, np.uint8), np.ones(shape, np.float32)):
        png = thumbnail(image)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.size == size and not picture.info
            assert np.asarray(picture).max() == (0 if image.dtype == np.uint8 else 255)
        assert width_of(png) == round(size[0] * 96 / DPI)
