"""`indicia check`."""

import typer

from indicia.printing import Json


def check(context: typer.Context, *, as_json: Json = False) -> None:
    """Look at all that could stand in the way.

    Configuration, keys, stores, upstreams, tracking hosts, clock: one line each, ok, warning or
    failed, and the mend. Exit status 1 where something failed.
    """
    from indicia.opening import config_file, read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.checking import check_all

    if not check_all(settings, config_file(context), as_json=as_json):
        raise typer.Exit(1)
