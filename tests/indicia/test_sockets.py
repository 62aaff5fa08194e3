import os

import pytest

from indicia.failure import Failure
from indicia.sockets import given_sockets


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid())},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
    ],
)
def test_without_sockets_for_this_process_there_are_none(environ: dict[str, str]) -> None:
    assert given_sockets(environ, ["collector"]) == {}
    assert environ == {}, "what a process was given is not handed on to its own"


@pytest.mark.parametrize("names", ["", "collector", "collector:mail"])
def test_sockets_of_several_programs_must_say_whose_they_are(names: str) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": names}
    with pytest.raises(Failure, match="FileDescriptorName= of each say whose it is: collector, re"):
        given_sockets(environ, ["collector", "relay"])
