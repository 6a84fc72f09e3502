"""Where the processes of several machines meet, looked at before they would wait for each other for minutes."""

import socket
import threading

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from transfusion_cli.errors import UserError

PATIENCE = 4.0
"""Seconds that a name server, and then the main machine, has to answer."""


def check_main_address(environment: ClusterEnvironment, rank: int) -> None:
    """See that the main address leads to the machine of the first process.

    Processes on one machine meet at an address of its own, and torchrun's have met already.

    Args:
        environment: what knows the address.
        rank: the rank of this process.

    Raises:
        UserError: no such name, no answer, or, for the first process, another machine.
    """
    if isinstance(environment, TorchElasticEnvironment):
        return
    name, port = environment.main_address, environment.main_port
    address = _resolve(name)
    if address is None:
        raise _wrong(name, "which is no machine known here")
    if address.startswith("127.") or address == "::1":
        return
    if rank > 0:
        if not _answers(address, port):
            raise _wrong(name, f"which gave no answer within {PATIENCE:.0f} seconds")
    elif not _leads_here(address):
        raise _wrong(name, "which does not lead to the machine of the first process")


def _wrong(name: str, why: str) -> UserError:
    return UserError(
        f"The processes were to meet at {name}, {why}.\n"
        "Set MASTER_ADDR to a name or address of the first machine that all others reach\n"
        "(and MASTER_PORT to a free port of it), the same for all processes."
    )


def _resolve(name: str) -> str | None:
    """The address behind a name; a name server that says nothing has none."""
    found: list[str] = []

    def ask() -> None:
        try:
            found.append(str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0]))
        except (OSError, UnicodeError):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return found[0] if found else None


def _answers(address: str, port: int) -> bool:
    """Whether there is a machine; before its first process listens, it refuses."""
    try:
        socket.create_connection((address, port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _leads_here(address: str) -> bool:
    """Whether a connection to ``address`` arrives in this process."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.create_server(("", 0), family=family) as server:
            socket.create_connection((address, server.getsockname()[1]), PATIENCE).close()
    except OSError:
        return False
    return True
