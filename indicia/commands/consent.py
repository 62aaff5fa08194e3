"""`indicia consent …`."""

from pathlib import Path
from typing import Annotated

import typer

from indicia.printing import Format, Json
from ledger.consent import Consent, Method

consent = typer.Typer(
    no_args_is_help=True, help="Record who has agreed to be tracked and who denies it."
)

Subject = Annotated[str, typer.Argument(metavar="ADDRESS|DOMAIN", show_default=False)]
Source = Annotated[
    str, typer.Option(metavar="S", help="Where it was told: a form, a call, a file.")
]


@consent.callback()
def group() -> None:
    """Record who has agreed to be tracked and who denies it, and look it up."""


@consent.command(name="set")
def set_(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    subject: Subject,
    state: Annotated[Consent, typer.Argument(show_default=False)],
    *,
    method: Annotated[Method, typer.Option(help="How it was told.")] = Method.OTHER,
    source: Source = "",
    text: Annotated[str, typer.Option(metavar="T", help="What the person was shown.")] = "",
) -> None:
    """Record a consent; a denial holds at once, for mail already delivered too."""
    from indicia.consenting import Telling, tell
    from indicia.opening import read_settings

    tell(read_settings(context), subject, Telling(state, method, source, text))


@consent.command()
def show(context: typer.Context, subject: Subject, *, as_json: Json = False) -> None:
    """Show what holds for an address or domain, and all that was ever told of it."""
    from indicia.consenting import show_consent
    from indicia.opening import read_settings

    show_consent(read_settings(context), subject, as_json=as_json)


@consent.command(name="import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", allow_dash=True, help="A file, or - for stdin.")
    ],
    *,
    source: Source = "",
) -> None:
    """Record consents from CSV: all of them, or none where a line is wrong.

    The first line names the columns: subject and state, and if there are any method, source, text
    and at.
    """
    from indicia.consenting import import_consents
    from indicia.opening import read_settings

    import_consents(read_settings(context), file, source)


@consent.command()
def export(
    context: typer.Context,
    *,
    output: Annotated[Format, typer.Option("--format", help="csv, json or table.")] = Format.CSV,
    as_json: Json = False,
) -> None:
    """Print all that holds; import reads the CSV."""
    from indicia.consenting import export_consents
    from indicia.opening import read_settings

    export_consents(read_settings(context), Format.JSON if as_json else output)
