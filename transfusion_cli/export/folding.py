"""A network without what its strategy put into it."""

from transfusion_cli.errors import UserError
from transfusion_cli.tasks.base import TransferTask


def fold(task: TransferTask) -> list[str]:
    """Fold AC-Norm into plain normalisation, merge low-rank updates, scales and shifts, drop what training needed.

    Args:
        task: whose network is changed, in place.

    Returns:
        Names of the strategies whose parts are no weights of the architecture and stay in the network.
    """
    kept = []
    for strategy in reversed(task.transfer.strategies):
        try:
            strategy.finalize(task.network)
        except UserError:  # what cannot be merged says so, and leaves the network as it is
            kept.append(type(strategy).__name__)
    return kept
