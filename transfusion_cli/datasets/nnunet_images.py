"""The user's own images with masks in nnU-Net's raw layout."""

from functools import cached_property

from transfusion_cli.data.layout.cases import ListedCase
from transfusion_cli.data.masks.image_base import ImageMaskDataModule
from transfusion_cli.data.masks.values import MaskValues
from transfusion_cli.datasets.families.nnunet_layout import NNUNetLayout
from transfusion_cli.errors import UserError


class NNUNetImagesDataModule(NNUNetLayout, ImageMaskDataModule):
    """Your own images with masks, PNG or TIFF, in the raw layout of nnU-Net, version 2.

    Source: your own disk
    Layout: dataset.json, imagesTr/CASE_0000.png, labelsTr/CASE.png; optionally imagesTs, labelsTs and
        splits_final.json
    Group: patient, from the names of the cases

    An image lies in one file, in grey or in colour. All else is as for volumes in this layout.

    Args:
        kwargs: as for ``NNUNetLayout`` and ``ImageMaskDataModule``.
    """

    @cached_property
    def values(self) -> MaskValues:  # type: ignore[override]
        """What the values of masks stand for."""
        return MaskValues(dict(self.mask_labels.values))  # type: ignore[arg-type]  # keys may be colours, too

    @property
    def cases(self) -> list[ListedCase]:
        """All that there are, split by the fold.

        Raises:
            UserError: one has several files.
        """
        cases = super().cases
        several = next((case for case in cases if len(case.images) > 1), None)
        if several is not None:
            raise UserError(
                f"Case {several.name!r} has {len(several.images)} files, and an image is read from one\n"
                f"in {self.folder}\n"
                "Join its channels in one PNG or TIFF, in grey or in colour."
            )
        return cases
