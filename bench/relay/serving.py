"""What the measurements of the relay share: its configuration, and ports nobody has."""

import socket
from pathlib import Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def write_configuration(folder: Path, port: int, *upstreams: int) -> Path:
    """Write one that relays to ports of this machine with tracking on: first by sender, then all.

    The first of several upstreams serves senders of `slow.test` only.
    """
    tables = [
        f"""
[[upstream]]
name = "sink{number}"
host = "127.0.0.1"
port = {upstream}
tls = "none"
auth = "none"
senders = ["{"*@slow.test" if number < len(upstreams) - 1 else "*"}"]
"""
        for number, upstream in enumerate(upstreams)
    ]
    config = folder / "indicia.toml"
    config.write_text(
        f"""
[server]
hostname = "bench.test"
state_dir = "{folder}"
[relay]
listen = ["127.0.0.1:{port}"]
[tracking]
base_url = "http://127.0.0.1:8025"
unknown_consent = "individual"
max_copies = 1000
{"".join(tables)}"""
    )
    return config
