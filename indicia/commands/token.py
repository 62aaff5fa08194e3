"""`indicia token …`."""

from typing import Annotated

import typer

from indicia.printing import Json
from ledger.role import Scope

token = typer.Typer(no_args_is_help=True, help="Tokens of the API.")

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@token.callback()
def group() -> None:
    """Tokens of the API."""


@token.command()
def create(
    context: typer.Context,
    name: Name,
    *,
    scope: Annotated[Scope, typer.Option(show_default=False)],
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    from indicia.admitting import create_token
    from indicia.opening import read_settings

    create_token(read_settings(context), name, scope, as_json=as_json)


@token.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the tokens by name."""
    from indicia.admitting import list_tokens
    from indicia.opening import read_settings

    list_tokens(read_settings(context), as_json=as_json)


@token.command()
def revoke(context: typer.Context, name: Name) -> None:
    """Let nobody in by this token any more."""
    from indicia.admitting import revoke_token
    from indicia.opening import read_settings

    revoke_token(read_settings(context), name)
