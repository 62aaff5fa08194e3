"""The table of notices: when people are told by mail."""

from typing import Annotated

from pydantic import Field

from config.kinds import Count, Kind, Positive, Switch
from config.section import Section

Share = Annotated[float, Field(ge=0, le=1), Kind("number from 0 to 1")]


class Notices(Section):
    """When people are told of opens and clicks by mail: docs/notices.md."""

    mail: Switch = False
    """true: who has an account here is told by mail of opens and clicks of what was sent from its
    address, until he says otherwise on his page."""
    early_s: Count = 600
    """What comes so soon after the mail was handed on waits `hold_s`, for programs come then."""
    hold_s: Count = 90
    """How long it is waited whether what follows shows a program. Shorter tells sooner, and more
    often of what was none of a person."""
    late_hold_s: Count = 5
    """The same for what comes later."""
    first_open_only: Switch = False
    """true: of each copy the first open and the first click are told, and no more."""
    min_confidence: Share = 0.0
    """Less sure labels are not told. 0.6 is what the pages call probably, 0.8 very likely."""
    throttle: Positive = 10
    """Mails to one person within an hour; what is more is told in one."""
    digest: Switch = False
    """true: nobody is told but once a day, at eight in his time zone."""
