"""ASK: whether an upstream takes a person's credential."""

from relay.deliver.connect import Access, SignInRefused, TlsContexts, open_connection
from relay.mail import Credential
from relay.upstream import Timeouts, Upstream


async def check_credential(
    upstream: Upstream,
    hostname: str,
    contexts: TlsContexts,
    credential: Credential,
    timeouts: Timeouts,
) -> bool:
    """Return whether the upstream signs the person in, on a connection that does nothing else.

    It is asked as mail is sent: over TLS as `upstream.tls` demands, or not at all.

    Raises ConnectError where it can not be asked, so that nobody knows.
    """
    try:
        connection = await open_connection(
            Access(upstream, hostname, contexts, timeouts), credential
        )
    except SignInRefused:
        return False
    connection.wire.quit(timeouts.quit_s)
    return True
