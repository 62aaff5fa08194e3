"""`indicia explain` and `indicia preview`."""

from typing import Annotated

import typer

from indicia.printing import Json

_Message = Annotated[str, typer.Argument(metavar="MESSAGE.eml", help="A file, or - for stdin.")]
_Sender = Annotated[str, typer.Option("--from", metavar="A", help='Envelope sender; "" for none.')]
_To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="B", help="Envelope recipient; may be repeated."),
]
_Bcc = Annotated[
    list[str] | None,
    typer.Option("--bcc", metavar="D", help="The same: the header says who is To or Cc."),
]
_Account = Annotated[str | None, typer.Option(metavar="A", help="Who has signed in.")]


def explain(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    message: _Message,
    *,
    sender: _Sender,
    to: _To = None,
    bcc: _Bcc = None,
    account: _Account = None,
    as_json: Json = False,
) -> None:
    """Tell what would happen to a message, and why.

    For each recipient, part and link: what would be tracked, which rule decided, and why. Nothing
    is sent, and no server needs to run.
    """
    from indicia.explaining import Supposed, explain_message
    from indicia.opening import read_settings

    supposed = Supposed(message, sender, _recipients(to, bcc), account)
    explain_message(read_settings(context), supposed, as_json=as_json)


def preview(  # noqa: PLR0913 - typer reads each option from a parameter
    context: typer.Context,
    message: _Message,
    *,
    sender: _Sender,
    to: _To = None,
    bcc: _Bcc = None,
    account: _Account = None,
    recipient: Annotated[
        str | None, typer.Option(metavar="B", help="Whose copy; else the first one's.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show what changed.")] = False,
) -> None:
    """Write the bytes that a recipient would get.

    Its tokens are no real ones: no open or click of a preview is ever recorded.
    """
    from indicia.explaining import Supposed, preview_message
    from indicia.opening import read_settings

    supposed = Supposed(message, sender, _recipients(to, bcc), account)
    preview_message(read_settings(context), supposed, recipient, diff=diff)


def _recipients(to: list[str] | None, bcc: list[str] | None) -> tuple[str, ...]:
    recipients = (*(to or ()), *(bcc or ()))
    if not recipients:
        msg = "name an envelope recipient with --to or --bcc"
        raise typer.BadParameter(msg)
    return recipients
