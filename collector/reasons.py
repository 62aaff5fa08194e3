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
        "gmail_network": "it came from Google's network or from Gmail",
        "listed_crawler": "the agent is on the public list of crawlers",
        "browser_prefetch": "the browser says that it loads ahead",
        "preview_header": "the request says that it makes a preview",
        "sweep": "several links of this mail were fetched within ten seconds",
        "empty_agent": "the request does not say what program it is from",
        "old_browser": "it claims to be a browser that is years out of use",
        "browser_agent": "it claims to be a current browser",
        "fetch_metadata": "the browser's account of its request fits",
        "fetch_metadata_missing": "a browser as it claims to be would say what it fetches",
        "language": "a preferred language is given, as programs for people do",
        "language_missing": "a browser as it claims to be would give a preferred language",
        "mail_gateway": "it came from servers of a mail service",
        "altered_destination": "the link had been changed on its way; the stored one was used",
        "replay": "another program in another network asked for the same within a minute",
        "gpc": "the reader's browser asks not to be told of",
    }
)
