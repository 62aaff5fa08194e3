"""Sockets opened before the programs: by the service manager, or by a parent for its workers.

systemd's protocol (sd_listen_fds(3)): descriptors from 3 on, as many as LISTEN_FDS says, meant for
the process that LISTEN_PID names, each named by LISTEN_FDNAMES.
"""

import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence

from config.kinds import Endpoint
from indicia.failure import Failure

_FIRST = 3

_BACKLOG = 2_048
"""Connections the kernel keeps while the processes are busy, up to its own net.core.somaxconn."""

Sockets = Mapping[str, Sequence[socket.socket]]
"""By the name of the program that listens on them."""


def given_sockets(environ: MutableMapping[str, str], programs: Sequence[str]) -> Sockets:
    """Return the sockets that a service manager has opened for this process; none: it has not.

    Where one program runs alone all are its own; else each bears the name of its program.
    Raises Failure where one does not.
    """
    said = {name: environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if said["LISTEN_PID"] != str(os.getpid()) or not said["LISTEN_FDS"].isdecimal():
        return {}
    count = int(said["LISTEN_FDS"])
    names = said["LISTEN_FDNAMES"].split(":") if said["LISTEN_FDNAMES"] else []
    if len(programs) == 1:
        names = [programs[0]] * count
    if len(names) != count or not set(names) <= set(programs):
        msg = (
            f"the service manager has opened {count} sockets, named {', '.join(names) or 'not'}; "
            f"let FileDescriptorName= of each say whose it is: {', '.join(programs)}"
        )
        raise Failure(msg)
    found: dict[str, list[socket.socket]] = {}
    for descriptor, name in enumerate(names, _FIRST):
        os.set_inheritable(descriptor, False)
        found.setdefault(name, []).append(socket.socket(fileno=descriptor))
    return found


def open_sockets(endpoints: Sequence[Endpoint]) -> Sequence[socket.socket]:
    """Return sockets that listen on these addresses, for processes that are forked after.

    All accept from one queue: what waits in it when one of them dies is another's.
    Raises OSError where an address can not be listened on.
    """
    opened: list[socket.socket] = []
    try:
        for endpoint in endpoints:
            family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
            address = (endpoint.host, endpoint.port)
            opened.append(socket.create_server(address, family=family, backlog=_BACKLOG))
    except OSError:
        for one in opened:
            one.close()
        raise
    return opened
