"""What a session says, each reply once.

Each but the greeting and EHLO's has an enhanced code (RFC 2034).  Strangers are told no more than
they need to mend what they sent.
"""

from relay.reply import Reply

OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "OK")
RECIPIENT_OK = Reply(250, "2.1.5", "OK")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
SIGNED_IN = Reply(235, "2.7.0", "Signed in")
BYE = Reply(221, "2.0.0", "Bye")

CLOSING = Reply(421, "4.3.2", "This server is being stopped, come back")
TIMED_OUT = Reply(421, "4.4.2", "Timed out")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_MANY_TRIES = Reply(421, "4.7.0", "Too many failed sign-ins, try later")
SIGN_IN_ANEW = Reply(421, "4.7.0", "The account was changed, sign in anew")
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

TLS_IN_USE = Reply(503, "5.5.1", "TLS is in use already")
NO_SIGN_IN_NOW = Reply(503, "5.5.1", "No sign-in within a transaction")
SIGNED_IN_ALREADY = Reply(503, "5.5.1", "You have signed in already")
# RFC 3207 4 and RFC 4954 6 have the same codes for both.
TLS_FIRST = Reply(530, "5.7.0", "Send STARTTLS first")
SIGN_IN_FIRST = Reply(530, "5.7.0", "Authentication required")
ENCRYPTION_REQUIRED = Reply(538, "5.7.11", "Sign-in needs TLS")  # RFC 5248
WRONG_CREDENTIAL = Reply(535, "5.7.8", "Username or password is wrong")
CAN_NOT_TELL = Reply(454, "4.7.0", "The sign-in can not be checked now, try later")
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "You may not send as this address")
TOO_MUCH_MAIL = Reply(450, "4.7.1", "You have sent to too many recipients, try later")

RELAYING_DENIED = Reply(550, "5.7.1", "Relaying denied")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
NO_MEMORY = Reply(452, "4.3.1", "Too many big messages at once, try later")
NO_ROOM = Reply(452, "4.3.1", "No room for more mail, try later")

REFUSED_VERBS = {
    **dict.fromkeys(("VRFY", "EXPN", "HELP", "TURN", "ETRN"), NOT_IMPLEMENTED),
    # What follows BDAT is content and must not become commands; the others are HTTP speaking to us
    # (Postfix's smtpd_forbidden_commands).
    **dict.fromkeys(("BDAT", "BURL", "CONNECT", "GET", "POST"), GOODBYE),
}
LAST_WORDS = frozenset(
    {
        BYE,
        CLOSING,
        TOO_MANY_ERRORS,
        TOO_MUCH_JUNK,
        TOO_MANY_TRIES,
        SIGN_IN_ANEW,
        TIMED_OUT,
        OUT_OF_STEP,
        GOODBYE,
    }
)
"""Replies after which the connection is closed."""
