"""What a run's validation decided beyond its weights: calibration and thresholds."""

import logging
from pathlib import Path

from transfusion_cli.metrics.decisions.decisions import Decisions
from transfusion_cli.reports.provenance import file_hash
from transfusion_cli.run_folder import RunFolder

log = logging.getLogger(__name__)


def decisions_of(checkpoint: Path) -> Decisions | None:
    """The newest decisions that were fitted for a checkpoint, in its run folder; None where there are none.

    What is exported looks at no mirror images: decisions for means over them are left out.

    Args:
        checkpoint: what is exported.

    Raises:
        UserError: they cannot be read.
    """
    there = [Decisions.read(path) for path in RunFolder.decisions_of(checkpoint)]
    if not there:
        return None
    own = file_hash(checkpoint)
    fitting = [made for made in there if made.fitted_on.checkpoint_sha256 == own]
    found = next((made for made in fitting if not made.fitted_on.mirror), None)
    if fitting and found is None:
        log.warning(
            "Calibration and thresholds of the run are for means over mirror images, which an exported network does "
            "not make: they are left out.\nTo fit others: transfusion calibrate RUN --model.mirror false"
        )
    elif found is None:
        log.warning("Calibration and thresholds of the run were fitted for another checkpoint: they are left out.")
    return found
