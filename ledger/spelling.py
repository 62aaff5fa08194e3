"""What is odd about an address that somebody typed.

It warns and decides nothing: what `ledger.address` takes is an address.
"""

from email_validator import EmailNotValidError, validate_email


def tell_oddness(address: str) -> str | None:
    """Return why an address is probably not what was meant; None where nothing is odd.

    Nothing is looked up, and names that are kept for tests are no reason.
    """
    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return None
