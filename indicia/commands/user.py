"""`indicia user …`."""

from typing import Annotated

import typer

from indicia.printing import Json
from ledger.role import Role

user = typer.Typer(no_args_is_help=True, help="Who may sign in, and what each may do.")

Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]
SendAs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Who may be sent as besides the own address, as *@team.example; may be repeated.",
    ),
]
PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="The password is the first line of standard input."),
]


@user.callback()
def group() -> None:
    """Who may sign in, and what each may do."""


@user.command()
def add(
    context: typer.Context,
    address: Address,
    *,
    role: Annotated[Role, typer.Option(show_default=False)],
    send_as: SendAs = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Add an account, for the console and for SMTP AUTH.

    Without a password its person signs in by a link: indicia signin ADDRESS.
    """
    from indicia.admitting import add_user, read_password
    from indicia.opening import read_settings

    password = read_password() if password_stdin else None
    add_user(read_settings(context), address, role, send_as or [], password)


@user.command()
def passwd(
    context: typer.Context,
    address: Address,
    *,
    password_stdin: PasswordStdin = False,
) -> None:
    """Change a password, which ends the person's sessions."""
    from indicia.admitting import change_password, read_password
    from indicia.failure import USAGE, Failure
    from indicia.opening import read_settings

    if not password_stdin:
        msg = "the password is read from standard input; write --password-stdin"
        raise Failure(msg, USAGE)
    change_password(read_settings(context), address, read_password())


@user.command()
def change(
    context: typer.Context,
    address: Address,
    *,
    role: Annotated[Role | None, typer.Option(show_default=False)] = None,
    send_as: SendAs = None,
) -> None:
    """Change a role, or who may be sent as; --send-as "" takes all patterns away."""
    from indicia.admitting import change_user
    from indicia.opening import read_settings

    change_user(read_settings(context), address, role, send_as or [])


@user.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the accounts."""
    from indicia.admitting import list_users
    from indicia.opening import read_settings

    list_users(read_settings(context), as_json=as_json)


@user.command()
def disable(context: typer.Context, address: Address) -> None:
    """Shut a person out at once, console and SMTP; the account is kept."""
    from indicia.admitting import switch_user
    from indicia.opening import read_settings

    switch_user(read_settings(context), address, disabled=True)


@user.command()
def enable(context: typer.Context, address: Address) -> None:
    """Let a disabled person in again."""
    from indicia.admitting import switch_user
    from indicia.opening import read_settings

    switch_user(read_settings(context), address, disabled=False)
