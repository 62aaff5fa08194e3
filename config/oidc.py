"""The table of sign-in by an OpenID provider."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from config.kinds import Domain, Kind, OptionalFile, Switch, Text, is_loopback, refuse
from config.section import Section


def _issuer(value: str) -> str:
    mend = 'write it as the provider does, such as "https://id.example.com/realms/staff"'
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        refuse("is no URL", mend)
    if value and (parts.scheme not in ("https", "http") or not host):
        refuse("is no https URL", mend)
    if value.startswith("http:") and not is_loopback(host):
        refuse("is not https, and not on this machine", f'write "https:{value[5:]}"')
    # OpenID Connect Discovery 1.0 section 3, issuer.
    if parts.query or parts.fragment or "@" in parts.netloc:
        refuse("has more than scheme, host, port and path", mend)
    return value


Issuer = Annotated[str, AfterValidator(_issuer), Kind("https URL")]


class Oidc(Section):
    """Sign-in by an OpenID provider, such as Keycloak or Entra ID: docs/people.md."""

    issuer: Issuer = ""
    """The provider, exactly as its discovery document names itself; empty: nobody signs in by one.
    http only on this machine."""
    client_id: str = ""
    """The id under which the provider knows Indicia."""
    client_secret_file: OptionalFile = None
    """File whose first line is the secret of that id; relative to this file. Without it Indicia is
    a public client, whom PKCE alone protects. Keep it readable for Indicia's user alone."""
    name: Text = "your organisation"
    """What the button of the sign-in page says behind "Sign in with". Set it to what your people
    call the provider."""
    domains: tuple[Domain, ...] = ()
    """Who comes from there must have an address in one of these; none: in any. Set it where the
    provider also knows guests."""
    groups_claim: Text = "groups"
    """The claim with a person's groups or application roles: a list of texts. Entra ID calls that
    of application roles `roles`."""
    admin_groups: tuple[Text, ...] = ()
    """Who is in one of these is an admin. Where any of the three lists is written the provider's
    groups decide the role, at each sign-in anew, and who is in none of them stays out."""
    auditor_groups: tuple[Text, ...] = ()
    """Who is in one of these and none above is an auditor."""
    user_groups: tuple[Text, ...] = ()
    """Who is in one of these and none above is a user."""
    create: Switch = False
    """true: who has no account gets one at the first sign-in, a user's where no groups decide;
    needs `domains` or groups. Set it so as not to add each person by hand."""
    verified_claim: Text = "email_verified"
    """The claim that must be true before an address is believed. Entra ID has `xms_edov` in its
    place."""
    passwords: Switch = True
    """false: the console takes no passwords, so that who left the provider is out here too; SMTP
    still does, and links of `indicia signin` work."""

    @property
    def enabled(self) -> bool:
        """Whether people sign in so."""
        return bool(self.issuer)

    @property
    def maps_roles(self) -> bool:
        """Whether the provider's groups decide who may come in, and as what."""
        return bool(self.admin_groups or self.auditor_groups or self.user_groups)
