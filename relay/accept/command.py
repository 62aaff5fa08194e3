"""MAIL and RCPT: what a client's command asks for.

The grammar is RFC 5321 4.1.1.2 and 4.1.1.3 with SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8
(RFC 6531); whatever is not understood is refused, never guessed at.
"""

import re
from dataclasses import dataclass

from ledger.address import Address, AddressError, parse_address
from relay.reply import Reply

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# Deviates: a space after the colon is taken (RFC 5321 4.1.1.2 has none); mail programs send it.
# RFC 5321 appendix C: a source route is ignored, the mailbox behind it is meant.
_PATH = re.compile(
    rf"(?P<verb>FROM|TO):[ ]*<(?:@[^:\s<>\"]+:(?!>))?(?P<mailbox>(?:{_QUOTED}|[^\"<>\s])*)>"
    r"(?P<parameters>(?:[ ].*)?)",
    re.IGNORECASE,
)
# RFC 5321 4.1.2: esmtp-keyword and esmtp-value; RFC 6531 3.3 lets UTF-8 into the value.
_PARAMETER = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[!-<>-~\u0080-\U0010ffff]+))?"
)
# RFC 4954 5 has xtext (RFC 3461 4) or <>. Nobody's word on the submitter is trusted here, and so it
# is the same as <>.
_SUBMITTER = re.compile(r"<>|(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 3

_MALFORMED_SENDER = Reply(501, "5.1.7", "Write MAIL FROM:<name@example.com>")
_MALFORMED_RECIPIENT = Reply(501, "5.1.3", "Write RCPT TO:<name@example.com>")
_BAD_PARAMETER = Reply(501, "5.5.4", "Malformed parameter")
_UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized")  # RFC 5321 4.1.1.11
# RFC 6531 3.5
_NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "A non-ASCII address needs SMTPUTF8")


@dataclass(frozen=True, slots=True)
class MailFrom:
    """What MAIL said."""

    sender: Address | None
    """None is `<>`."""
    size_bytes: int = 0
    """What SIZE declared; 0 where it did not."""
    smtputf8: bool = False
    body_8bit: bool = False


def parse_mail_from(argument: str, *, auth: bool = False) -> MailFrom | Reply:
    """Return what the argument of MAIL asks for, or the reply that refuses it.

    `auth`: who offers AUTH takes the parameter of that name too (RFC 4954 3).
    """
    match = _PATH.fullmatch(argument)
    if match is None or match["verb"].upper() != "FROM":
        return _MALFORMED_SENDER
    parameters = _parse_parameters(match["parameters"])
    if isinstance(parameters, Reply):
        return parameters
    if auth and not _SUBMITTER.fullmatch(parameters.pop("AUTH", "<>")):
        return _BAD_PARAMETER
    mail = _read_parameters(parameters)
    if isinstance(mail, Reply) or not match["mailbox"]:
        return mail
    sender = _parse_mailbox(match["mailbox"], "5.1.7", smtputf8=mail.smtputf8)
    if isinstance(sender, Reply):
        return sender
    return MailFrom(sender, mail.size_bytes, mail.smtputf8, mail.body_8bit)


def parse_rcpt_to(argument: str, *, smtputf8: bool, hostname: str) -> Address | Reply:
    """Return the recipient that the argument of RCPT names, or the reply that refuses it."""
    match = _PATH.fullmatch(argument)
    if match is None or match["verb"].upper() != "TO" or not match["mailbox"]:
        return _MALFORMED_RECIPIENT
    parameters = _parse_parameters(match["parameters"])
    if isinstance(parameters, Reply):
        return parameters
    if parameters:
        return _UNKNOWN_PARAMETER
    mailbox = match["mailbox"]
    # RFC 5321 4.1.1.3: <Postmaster> without a domain is the postmaster here.
    if mailbox.lower() == "postmaster":
        mailbox = f"{mailbox}@{hostname}"
    return _parse_mailbox(mailbox, "5.1.3", smtputf8=smtputf8)


def _parse_mailbox(text: str, enhanced: str, *, smtputf8: bool) -> Address | Reply:
    try:
        address = parse_address(text)
    except AddressError:
        return Reply(553, enhanced, "Not a mail address")
    if not smtputf8 and not address.is_ascii:
        return _NEEDS_SMTPUTF8
    return address


def _parse_parameters(text: str) -> dict[str, str] | Reply:
    parameters: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        name = match["name"].upper() if match else ""
        if match is None or name in parameters:
            return _BAD_PARAMETER
        parameters[name] = match["value"] or ""
    return parameters


def _read_parameters(parameters: dict[str, str]) -> MailFrom | Reply:
    if parameters.keys() - {"SIZE", "BODY", "SMTPUTF8"}:
        return _UNKNOWN_PARAMETER
    size, body = parameters.get("SIZE", "0"), parameters.get("BODY", "7BIT").upper()
    if (
        _SIZE.fullmatch(size) is None
        or body not in ("7BIT", "8BITMIME")
        or parameters.get("SMTPUTF8")
    ):
        return _BAD_PARAMETER
    return MailFrom(None, int(size), "SMTPUTF8" in parameters, body == "8BITMIME")
