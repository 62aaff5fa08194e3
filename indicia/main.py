"""The command's face: its global option, its commands, its exit status.

0 done, 1 it did not hold or was not found, 2 usage or configuration error.
Imports here and at the head of each command are light; what is heavy is imported inside.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from indicia.commands.audit import audit
from indicia.commands.check import check
from indicia.commands.consent import consent
from indicia.commands.db import db
from indicia.commands.explain import explain, preview
from indicia.commands.export import export
from indicia.commands.forget import forget
from indicia.commands.init import init
from indicia.commands.log import log
from indicia.commands.policy import policy
from indicia.commands.purge import purge
from indicia.commands.queue import queue
from indicia.commands.reclassify import reclassify
from indicia.commands.sandbox import sandbox
from indicia.commands.serve import collector, console, relay, serve
from indicia.commands.show import show
from indicia.commands.signin import signin
from indicia.commands.token import token
from indicia.commands.user import user
from indicia.commands.webhook import webhook
from indicia.failure import NOT_HELD, USAGE, Failure

app = typer.Typer(
    name="indicia",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (serve, relay, collector, console, init, check, explain, preview, log, show, signin):
    app.command()(command)
app.command()(queue)
app.command()(export)
app.command()(forget)
app.command()(purge)
app.command()(reclassify)
app.add_typer(user, name="user")
app.add_typer(token, name="token")
app.add_typer(audit, name="audit")
app.add_typer(policy, name="policy")
app.add_typer(consent, name="consent")
app.add_typer(webhook, name="webhook")
app.add_typer(db, name="db")
app.add_typer(sandbox, name="sandbox")


@app.callback()
def indicia(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Configuration; else $INDICIA_CONFIG, ./indicia.toml, /etc/indicia/indicia.toml, "
            "else the sandbox.",
        ),
    ] = None,
) -> None:
    """Tracking of opens and clicks at the mail relay: by policy, by recipient, explained."""


def run() -> None:
    """Run the command; what is the user's to mend is told in plain lines and never traced back."""
    try:
        app()
    except Exception as error:
        status = _status(error)
        if status is None:
            raise
        for line in str(error).splitlines():
            typer.echo(f"indicia: {line}", err=True)
        sys.exit(status)


def _status(error: Exception) -> int | None:
    """Return the exit status of what users can mend; None for a bug."""
    if isinstance(error, Failure):
        return error.status
    from config.faults import ConfigError

    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, OSError):
        return NOT_HELD
    from ledger.keys import KeyFileError
    from ledger.migrate import StoreError

    return NOT_HELD if isinstance(error, KeyFileError | StoreError) else None
