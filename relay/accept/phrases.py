"""What a session says, each reply once.

Each but the greeting and EHLO's has an enhanced code (RFC 2034).  Strangers are told no more than
they need to mend what they sent.
"""

from relay.reply import Reply

OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "OK")
RECIPIENT_OK = Reply(250, "2.1.5", "OK")
BYE = Reply(221, "2.0.0", "Bye")

CLOSING = Reply(421, "4.3.2", "This server is being stopped, come back")
TIMED_OUT = Reply(421, "4.4.2", "Timed out")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_MUCH_JUNK = Reply(421, "4.7.0", "Too many commands without mail")

NOT_UTF8 = Reply(501, "5.5.2", "The command is not UTF-8")
LINE_TOO_LONG = Reply(500, "5.5.6", "Command line too long")  # RFC 4954 4
UNKNOWN = Reply(500, "5.5.2", "Command not recognized")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
GOODBYE = Reply(502, "5.5.1", "Command not implemented, goodbye")
NO_ARGUMENT = Reply(501, "5.5.4", "No argument is allowed")
HELO_SYNTAX = Reply(501, "5.5.4", "Write EHLO and the name of your machine")
HELO_FIRST = Reply(503, "5.5.1", "Send EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Send RCPT first")
NESTED_MAIL = Reply(503, "5.5.1", "MAIL was sent already")
OUT_OF_STEP = Reply(554, "5.5.0", "Commands were sent before this one was answered")

RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
NO_ROOM = Reply(452, "4.3.1", "No room for more mail, try later")

REFUSED_VERBS = {
    **dict.fromkeys(("VRFY", "EXPN", "HELP", "TURN", "ETRN", "AUTH", "STARTTLS"), NOT_IMPLEMENTED),
    # What follows BDAT is content and must not become commands; the others are HTTP speaking to us
    # (Postfix's smtpd_forbidden_commands).
    **dict.fromkeys(("BDAT", "BURL", "CONNECT", "GET", "POST"), GOODBYE),
}
LAST_WORDS = frozenset(
    {BYE, CLOSING, TOO_MANY_ERRORS, TOO_MUCH_JUNK, TIMED_OUT, OUT_OF_STEP, GOODBYE}
)
"""Replies after which the connection is closed."""
