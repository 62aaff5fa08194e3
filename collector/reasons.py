"""Each reason code of an open or click, in words for people."""

from collections.abc import Mapping
from types import MappingProxyType

REASON_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "gmail_image_proxy": "Gmail's image proxy fetched it, as it does on view",
        "gmail_prefetch": "Gmail loads images ahead with this agent",
        "apple_mail_privacy": "Apple Mail Privacy Protection loads images unseen",
        "webkit_mail": "Apple Mail, loading for its reader or ahead; the two look alike",
        "yahoo_image_proxy": "Yahoo's image proxy fetched it, as it does on view",
        "fastmail_image_proxy": "Fastmail's image proxy fetched it, as it does on view",
        "shortwave_image_proxy": "Shortwave's image proxy fetched it",
        "office_probe": "Microsoft Office looked what kind of server this is",
        "outlook_desktop": "Outlook for Windows showed the mail",
        "mail_program": "a mail program showed the mail",
        "chat_preview": "a chat made a preview of the link",
        "webhook_loop": "a tracking service's own program asked",
        "link_scanner": "a security product names itself",
        "http_tool": "a command-line program, library or monitor asked",
        "headless_browser": "a browser without a window asked",
        "own_network": "it came from your own network",
        "own_browser": "it came from a browser that is marked as your own",
        "gmail_network": "it came from Google's network or from Gmail",
        "listed_crawler": "the agent is on the public list of crawlers",
        "browser_prefetch": "the browser says that it loads ahead",
        "preview_header": "the request says that it makes a preview",
        "seznam_image_proxy": "Seznam's image proxy fetched it, as it does on view",
        "provider_image_proxy": "a mail provider's image proxy fetched it, as it does on view",
        "swept_view": "the same program fetched several links of this mail within ten seconds",
        "two_at_once": "two links were followed within a second",
        "leaves_and_more": "the link to unsubscribe and another were followed within a minute",
        "many_places": "it was asked for from three networks or more within two minutes",
        "neighbours": "copies of several recipients were asked for from one network at once",
        "altered_token": "the same network had just tried this link altered",
        "altered_beside": "this link was asked for as it is and altered, from one network",
        "altered_alone": "the link had been changed, as scanners and broken programs do",
        "looked_first": "the same network had just asked for the head of it alone",
        "early": "it came within a minute of relaying, as most scans do",
        "fetch_metadata_contradicts": "the browser's account of its request does not fit",
        "accept_missing": "a browser as it claims to be would say what formats it takes",
        "published_range": "it came from a network on a list that you keep",
        "inferred_from_click": "a link in it was followed, so it was open",
        "new_place": "it was opened elsewhere before: another device or network of the same person,"
        " or somebody it was passed on to; which of them can not be told",
        "sweep": "several links of this mail were fetched within ten seconds",
        "empty_agent": "the request does not say what program it is from",
        "old_browser": "it claims to be a browser that is years out of use",
        "browser_agent": "it claims to be a current browser",
        "fetch_metadata": "the browser's account of its request fits",
        "fetch_metadata_missing": "a browser as it claims to be would say what it fetches",
        "language": "a preferred language is given, as programs for people do",
        "language_missing": "a browser as it claims to be would give a preferred language",
        "mail_gateway": "it came from servers of a mail service",
        "mx_gateway": "a gateway that scans links receives the mail of the recipient's domain",
        "altered_destination": "the link had been changed on its way; the stored one was used",
        "replay": "another program in another network asked for the same within a minute",
        "gpc": "the reader's browser asks not to be told of",
    }
)

SIGNS_OF_PEOPLE = frozenset(
    {"browser_agent", "fetch_metadata", "language", "mail_program", "outlook_desktop"}
)
"""What speaks for somebody who reads, however it was decided."""

SIGNS_OF_PROGRAMS = frozenset(
    {
        "accept_missing",
        "altered_alone",
        "altered_beside",
        "altered_token",
        "browser_prefetch",
        "early",
        "empty_agent",
        "fetch_metadata_contradicts",
        "fetch_metadata_missing",
        "language_missing",
        "leaves_and_more",
        "listed_crawler",
        "looked_first",
        "mail_gateway",
        "many_places",
        "mx_gateway",
        "neighbours",
        "old_browser",
        "preview_header",
        "sweep",
        "swept_view",
        "two_at_once",
    }
)
"""What speaks for a scanner or another program, however it was decided."""
