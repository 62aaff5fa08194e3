"""`indicia audit …`."""

from typing import Annotated

import typer

from indicia.printing import Json

audit = typer.Typer(no_args_is_help=True, help="Who did what, in a chain of hashes.")


@audit.callback()
def group() -> None:
    """Who did what, in a chain of hashes."""


@audit.command("list")
def list_(
    context: typer.Context,
    *,
    about: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="What a person did, and what was done about one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the audit log, oldest first."""
    from indicia.auditing import list_audit
    from indicia.opening import read_settings

    list_audit(read_settings(context), about, as_json=as_json)


@audit.command()
def verify(
    context: typer.Context,
    *,
    head: Annotated[
        str | None,
        typer.Option(metavar="NUMBER:HASH", help="A head that was printed before and kept."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the chain and print its head, to be kept where the record is not.

    Names the first row that is not as it was written.  Rows that are removed at the end are
    missed only by a head that was kept.
    """
    from indicia.auditing import verify_log
    from indicia.opening import read_settings

    verify_log(read_settings(context), head, as_json=as_json)
