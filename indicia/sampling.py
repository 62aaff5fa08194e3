"""A sample mail, sent as any mail program would send it."""

import smtplib
from datetime import UTC, datetime
from email.utils import make_msgid

from config.kinds import Endpoint
from config.settings import Settings
from indicia.calling import command_line
from indicia.failure import Failure
from indicia.printing import print_json, print_line
from indicia.sample import BCC, CC, SENDER, TO, Occasion, envelope_recipients, sample_mail

TIMEOUT_S = 30.0


def send_sample(settings: Settings, *, as_json: bool) -> None:
    """Send the sample mail and tell what to look at.

    Raises Failure where no relay answers, it does not take the mail, or mail is not captured.
    """
    if not settings.captures:
        names = ", ".join(upstream.name for upstream in settings.upstream)
        msg = f"mail is not captured here but goes to {names}; the sample is for the sandbox only"
        raise Failure(msg)
    message_id = make_msgid(domain=SENDER[1].rpartition("@")[2])[1:-1]
    occasion = Occasion(message_id, datetime.now(UTC), settings.console.public_url)
    _submit(settings.relay.listen[0], occasion)
    _tell(settings, message_id, as_json=as_json)


def _submit(listen: Endpoint, occasion: Occasion) -> None:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 - compared
    try:
        with smtplib.SMTP(host, listen.port, timeout=TIMEOUT_S) as smtp:
            smtp.send_message(sample_mail(occasion), SENDER[1], envelope_recipients())
    except smtplib.SMTPException as error:
        msg = f"the relay at {listen} did not take the mail: {error}"
        raise Failure(msg) from error
    except OSError as error:
        msg = f"no relay answers at {listen} ({error.strerror or error}); start it: indicia serve"
        raise Failure(msg) from error


def _tell(settings: Settings, message_id: str, *, as_json: bool) -> None:
    captured = f"{settings.console.public_url}/captured"
    if as_json:
        recipients = list(envelope_recipients())
        feed = f"{settings.console.public_url}/"
        print_json(
            {
                "message_id": message_id,
                "recipients": recipients,
                "captured": captured,
                "feed": feed,
            }
        )
        return
    for kind, (name, address) in (("To", TO), ("Cc", CC), ("Bcc", BCC)):
        print_line(f"{kind:<4} {name} <{address}>")
    print_line("")
    print_line("Sent. Each of the three got a copy of his own; nothing left this machine.")
    print_line(f"1. Open a copy as its recipient would, and follow a link:  {captured}")
    print_line(f"2. See who opened and clicked:  {settings.console.public_url}/")
    print_line(f"3. See the whole story:  {command_line()} show {message_id}")
