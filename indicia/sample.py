"""The sample mail of the sandbox: an offer, as a salesperson would send it.

Its links lead to example.com, which RFC 2606 sets aside for this, and to the console of the
sandbox, which answers without the internet.
"""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

SENDER = ("Anna Lindqvist", "anna.lindqvist@nordlicht.example")
TO = ("Tom Berger", "tom.berger@hafenbau.example")
CC = ("Carla Moreno", "carla.moreno@hafenbau.example")
BCC = ("Bea Holm", "bea.holm@nordlicht.example")


@dataclass(frozen=True, slots=True)
class Occasion:
    """What differs from one sample to the next."""

    message_id: str
    """Without angle brackets."""
    sent_at: datetime
    console_url: str
    """Where the console answers, without a final slash."""


def envelope_recipients() -> tuple[str, ...]:
    """Return the addresses of To, Cc and Bcc."""
    return tuple(address for _, address in (TO, CC, BCC))


def sample_mail(occasion: Occasion) -> EmailMessage:
    """Return the mail as a mail program hands it over: who is Bcc stands in the envelope only."""
    message = EmailMessage()
    message["From"] = formataddr(SENDER)
    message["To"] = formataddr(TO)
    message["Cc"] = formataddr(CC)
    message["Subject"] = "Quay 7: our offer for the lighting, and two dates to meet"
    message["Date"] = format_datetime(occasion.sent_at)
    message["Message-ID"] = f"<{occasion.message_id}>"
    message.set_content(_TEXT.replace("{console}", occasion.console_url))
    message.add_alternative(_HTML.replace("{console}", occasion.console_url), subtype="html")
    return message


_TEXT = """\
Dear Tom, dear Carla,

thank you for the tour of Quay 7 last week. Here is our offer for the lighting.

  Luminaires, 48 pieces, 3000 K   EUR 21,600
  Masts and brackets              EUR  7,450
  Installation, two nights        EUR  4,900
  Total                           EUR 33,950

The offer:      https://example.com/offers/quay-7?version=3
Light study:    https://example.com/offers/quay-7/light-study
Choose a date:  {console}/?sample=dates

Shall we meet on Tuesday or on Thursday?

Kind regards
Anna Lindqvist

--\x20
Nordlicht Lighting, Lake Road 12, anna.lindqvist@nordlicht.example
"""

_HTML = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quay 7: our offer for the lighting</title>
</head>
<body style="margin:0;background:#eef1f4;color:#1f2933;\
font:16px/1.55 -apple-system,'Segoe UI',Helvetica,Arial,sans-serif">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0">
<tr><td align="center" style="padding:32px 12px">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" \
style="max-width:600px;width:100%;background:#fff;border-radius:10px;overflow:hidden">
<tr><td style="background:#12344d;padding:28px 36px;color:#fff">
<div style="font-size:13px;letter-spacing:.14em;text-transform:uppercase;color:#f6c453">\
Nordlicht Lighting</div>
<div style="font-size:25px;line-height:1.3;padding-top:6px">Light for Quay 7</div>
</td></tr>
<tr><td style="padding:30px 36px 8px">
<p style="margin:0 0 16px">Dear Tom, dear Carla,</p>
<p style="margin:0 0 16px">thank you for the tour of Quay 7 last week. As promised, here is our
<a href="https://example.com/offers/quay-7?version=3" style="color:#0b6e99">offer for the \
lighting</a>, with warm light along the water and none of it up into the sky. The
<a href="https://example.com/offers/quay-7/light-study" style="color:#0b6e99">light study</a> \
shows the quay at ten in the evening.</p>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" \
style="border-collapse:collapse;margin:6px 0 22px;font-size:15px">
<tr><td style="padding:9px 0;border-bottom:1px solid #e4e8ec">Luminaires, 48 pieces, 3000&nbsp;K\
</td><td align="right" style="border-bottom:1px solid #e4e8ec">&euro;&nbsp;21,600</td></tr>
<tr><td style="padding:9px 0;border-bottom:1px solid #e4e8ec">Masts and brackets</td>\
<td align="right" style="border-bottom:1px solid #e4e8ec">&euro;&nbsp;7,450</td></tr>
<tr><td style="padding:9px 0;border-bottom:1px solid #e4e8ec">Installation, two nights</td>\
<td align="right" style="border-bottom:1px solid #e4e8ec">&euro;&nbsp;4,900</td></tr>
<tr><td style="padding:11px 0"><strong>Total</strong></td>\
<td align="right"><strong>&euro;&nbsp;33,950</strong></td></tr>
</table>
<p style="margin:0 0 22px">Shall we meet on Tuesday or on Thursday?</p>
<p style="margin:0 0 26px"><a href="{console}/?sample=dates" \
style="display:inline-block;background:#f6c453;color:#12344d;text-decoration:none;\
font-weight:600;padding:12px 26px;border-radius:6px">Choose a date</a></p>
<p style="margin:0 0 26px">Kind regards<br>Anna Lindqvist</p>
</td></tr>
<tr><td style="padding:18px 36px 26px;border-top:1px solid #e4e8ec;font-size:13px;color:#66727f">
Nordlicht Lighting, Lake Road 12 &middot;
<a href="mailto:anna.lindqvist@nordlicht.example" style="color:#66727f">write to me</a> &middot;
<a href="https://example.com/privacy" data-no-track style="color:#66727f">privacy</a>
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""
