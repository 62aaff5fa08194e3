"""`indicia serve`, and each of its three programs alone."""

from typing import Annotated

import typer

Workers = Annotated[
    int,
    typer.Option(
        min=1,
        max=64,
        metavar="N",
        help="Processes that share its addresses; one that dies is started again.",
    ),
]


def serve(context: typer.Context) -> None:
    """Run relay, collector and console in one process."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, tuple(Program))


def relay(context: typer.Context, workers: Workers = 1) -> None:
    """Run the relay alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.RELAY,), workers)


def collector(context: typer.Context, workers: Workers = 1) -> None:
    """Run the collector alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.COLLECTOR,), workers)


def console(context: typer.Context, workers: Workers = 1) -> None:
    """Run the console alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.CONSOLE,), workers)
