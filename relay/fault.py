"""A fault of ours, told without a word of the mail."""

from traceback import walk_tb

from relay.verdict import PassReason, PassThrough

_OURS = "relay."


def pass_for_fault(error: Exception) -> PassThrough:
    """Return why a message is left alone when `error` was raised over it: what, and where.

    Law: nothing of the error's text is in it, for that may quote the mail.
    """
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_OURS):
            place = f" in {module}, line {line}"
    return PassThrough(PassReason.OUR_FAULT, f"{type(error).__name__}{place}")
