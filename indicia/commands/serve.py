"""`indicia serve`, and each of its three programs alone."""

import typer


def serve(context: typer.Context) -> None:
    """Run relay, collector and console in one process."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, tuple(Program))


def relay(context: typer.Context) -> None:
    """Run the relay alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.RELAY,))


def collector(context: typer.Context) -> None:
    """Run the collector alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.COLLECTOR,))


def console(context: typer.Context) -> None:
    """Run the console alone."""
    from indicia.opening import read_settings

    settings = read_settings(context)  # faults are told before a second of imports
    from indicia.serving import Program, run_programs

    run_programs(settings, (Program.CONSOLE,))
