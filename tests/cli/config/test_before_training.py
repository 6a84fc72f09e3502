"""What is seen to before a run trains."""

import pytest

from transfusion_cli.cli.config.before_training import check_kinds
from transfusion_cli.datasets import PhantomDataModule, VesselPhantomDataModule
from transfusion_cli.errors import UserError
from transfusion_cli.tasks.base import TransferTask
from transfusion_cli.tasks.classification import ClassificationTask
from transfusion_cli.tasks.segmentation import SegmentationTask


def test_masks_and_labels_are_told_apart():
    check_kinds(PhantomDataModule, ClassificationTask)
    check_kinds(VesselPhantomDataModule, SegmentationTask)
    check_kinds(VesselPhantomDataModule, TransferTask)  # does not say
    check_kinds(None, SegmentationTask)
    with pytest.raises(UserError, match=r"ClassificationTask learns labels\.\nTry --model SegmentationTask"):
        check_kinds(VesselPhantomDataModule, ClassificationTask)
    with pytest.raises(UserError, match="--model ClassificationTask"):
        check_kinds(PhantomDataModule, SegmentationTask)
