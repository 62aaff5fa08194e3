"""The rules of many hits: what a hit is among the others.

Who scans links takes all he can get in seconds; a person opens one, reads, and comes back.
Law: a hit that nothing stands beside is no part of a sweep.
"""

from collections.abc import Iterable
from datetime import timedelta

from collector.agents import match_agent
from collector.hit import Evidence, Scene, Trace
from ledger.event import Agent
from ledger.token import HitKind

SWEEP_LINKS = 3
SWEEP_WITHIN = timedelta(seconds=10)
BURST = timedelta(seconds=4)
"""No person follows three links in it; a sweep lasts about two seconds (craft-campaign#546)."""

TWO_AT_ONCE = timedelta(seconds=1)
"""Shorter than from one click of a mouse, over the browser's window, to the next link."""

LEAVES_AND_MORE = timedelta(seconds=60)
PLACES_WITHIN = timedelta(seconds=120)
NEIGHBOURS_WITHIN = timedelta(seconds=10)
EARLY = timedelta(seconds=60)
BESIDE = timedelta(seconds=120)

ALTERED = "altered_destination"
"""A sign of a hit: the tag holds for the stored link and not for what was asked."""
ALTERED_TOKEN = "altered_token"  # noqa: S105 - a sign's name
LOOKED_FIRST = "looked_first"
OWN_BROWSER = "own_browser"
"""A sign of a hit by a browser that is marked as one's own."""


def sweep(scene: Scene) -> Evidence | None:
    """See three links of one copy within ten seconds (craft-campaign#546; mautic#16263)."""
    if scene.hit.kind is HitKind.OPEN:
        return None
    links, lasted = _fullest(_like(scene))
    if links < SWEEP_LINKS:
        return None
    surely = 0.95 if links >= SWEEP_LINKS + 2 else 0.9
    return Evidence("sweep", Agent.SCANNER, surely if lasted <= BURST else 0.8, str(links))


def swept_view(scene: Scene) -> Evidence | None:
    """See the pixel fetched by what fetches three links within ten seconds (facts of SafeLinks).

    It has to be the same agent in the same network: a person may open the mail meanwhile.
    """
    if scene.hit.kind is HitKind.CLICK:
        return None
    links, _ = _fullest(one for one in _clicks_near(scene) if _same(one, scene.hit))
    return Evidence("swept_view", Agent.SCANNER, 0.85) if links >= SWEEP_LINKS else None


def two_at_once(scene: Scene) -> Evidence | None:
    """See two links followed within a second (autoemails: "2 of 3 within 2 s")."""
    if scene.hit.kind is HitKind.OPEN:
        return None
    near = [one for one in _like(scene) if abs(one.at - scene.hit.at) <= TWO_AT_ONCE]
    if len({one.slot for one in near}) < 2:  # noqa: PLR2004 - two, as the name says
        return None
    return Evidence("two_at_once", Agent.SCANNER, 0.75)


def leaves_and_more(scene: Scene) -> Evidence | None:
    """See the link to unsubscribe and another followed within a minute (instantly#773)."""
    if scene.hit.kind is HitKind.OPEN:
        return None
    gaps = [
        abs(one.at - scene.hit.at)
        for one in scene.others
        if one.kind is HitKind.CLICK
        and one.leaves is not scene.hit.leaves
        and _alike(one, scene.hit, scene.readers)
    ]
    gap = min(gaps, default=timedelta.max)
    if gap > LEAVES_AND_MORE:
        return None
    # Who has changed his mind may take half a minute, but not five seconds.
    return Evidence("leaves_and_more", Agent.SCANNER, 0.85 if gap <= BURST else 0.5)


def many_places(scene: Scene) -> Evidence | None:
    """See one reader's copy asked for from three networks in two minutes (mautic#16263).

    Image proxies, relays and mail programs are known and not counted: one person has several
    dynamic addresses.
    """
    if scene.readers > 1 or _says_who(scene.hit):
        return None
    near = [
        one
        for one in (*scene.others, scene.hit)
        if abs(one.at - scene.hit.at) <= PLACES_WITHIN and one.network and not _says_who(one)
    ]
    places = len({one.network for one in near})
    if places < 3:  # noqa: PLR2004 - telephone and computer of one person are two
        return None
    weight = 0.6 if places < 5 else 0.85  # noqa: PLR2004 - a household has not so many
    return Evidence("many_places", Agent.SCANNER, weight, str(places))


def neighbours(scene: Scene) -> Evidence | None:
    """See copies of several recipients asked for from one network within ten seconds.

    That is a gateway of their organisation, or a meeting that got its minutes.
    """
    if not scene.hit.network or _says_who(scene.hit):
        return None
    copies = {
        one.copy_id
        for one in scene.nearby
        if one.network == scene.hit.network and abs(one.at - scene.hit.at) <= NEIGHBOURS_WITHIN
    }
    if len(copies) < 2:  # noqa: PLR2004 - three with his own
        return None
    weight = 0.45 if len(copies) < 4 else 0.6  # noqa: PLR2004 - five with his own
    return Evidence("neighbours", Agent.SCANNER, weight, str(len(copies) + 1))


def altered_token(scene: Scene) -> Evidence | None:
    """See that the network has just tried this copy's token altered (gophish#973, mautic#9798).

    Image proxies and mail programs alter none, whoever asks in their network.
    """
    if ALTERED_TOKEN in scene.hit.signs and not _says_who(scene.hit):
        return Evidence("altered_token", Agent.SCANNER, 0.7)
    return None


def altered_beside(scene: Scene) -> Evidence | None:
    """See a link asked for as it is and altered, from one network within two minutes.

    SafeLinks asks twice, the second time with a parameter changed (gophish#973).
    """
    hit = scene.hit
    for one in () if _says_who(hit) else scene.others:
        if (
            (one.kind, one.slot) == (hit.kind, hit.slot)
            and (ALTERED in one.signs) is not (ALTERED in hit.signs)
            and abs(one.at - hit.at) <= BESIDE
            and _alike(one, hit, scene.readers)
        ):
            return Evidence("altered_beside", Agent.SCANNER, 0.7)
    return None


def altered_alone(scene: Scene) -> Evidence | None:
    """See a destination changed on the way: scanners do, and broken programs of people."""
    return Evidence("altered_alone", Agent.SCANNER, 0.35) if ALTERED in scene.hit.signs else None


def looked_first(scene: Scene) -> Evidence | None:
    """See that the network sent HEAD or OPTIONS for this copy just before (Groundhogg)."""
    if LOOKED_FIRST in scene.hit.signs and not _says_who(scene.hit):
        return Evidence("looked_first", Agent.SCANNER, 0.35)
    return None


def early(scene: Scene) -> Evidence | None:
    """Know that two thirds of scans come within a minute of relaying (craft-campaign#546).

    So do the quickest of readers: it is a prior and weighs next to nothing.
    """
    relayed_at = scene.relayed_at
    if relayed_at is None or scene.hit.at - relayed_at > EARLY or _says_who(scene.hit):
        return None
    return Evidence("early", Agent.SCANNER, 0.2)


def is_sweep(scene: Scene) -> bool:
    """Tell whether a hit is part of a sweep of links."""
    return sweep(scene) is not None or swept_view(scene) is not None


def _says_who(hit: Trace) -> bool:
    known = match_agent(hit.agent, hit.kind)
    return known is not None and known.agent is not Agent.SCANNER


def _clicks_near(scene: Scene) -> list[Trace]:
    return [
        one
        for one in (*scene.others, scene.hit)
        if one.kind is HitKind.CLICK and abs(one.at - scene.hit.at) <= SWEEP_WITHIN
    ]


def _like(scene: Scene) -> list[Trace]:
    """Return the clicks near the hit that may be by the same hand, itself included."""
    return [one for one in _clicks_near(scene) if _alike(one, scene.hit, scene.readers)]


def _alike(one: Trace, other: Trace, readers: int) -> bool:
    """Tell whether two hits may be by the same hand.

    Scanners change their network and keep their ways, or change their agent where they are.
    A gateway may share its network with those it guards, but not their programs' headers.
    Of a copy with several readers the network has to be the same.
    """
    agent, headers = one.agent == other.agent, sorted(one.headers) == sorted(other.headers)
    if one.network == other.network:
        return agent or headers
    return readers == 1 and agent and headers


def _same(one: Trace, other: Trace) -> bool:
    return (one.network, one.agent) == (other.network, other.agent)


def _fullest(clicks: Iterable[Trace]) -> tuple[int, timedelta]:
    """Return how many links the fullest ten seconds hold, and how long the first three took."""
    near = sorted(clicks, key=lambda one: one.at)
    best, lasted = 0, timedelta.max
    for start in near:
        slots: set[int] = set()
        for one in near:
            if not start.at <= one.at <= start.at + SWEEP_WITHIN:
                continue
            slots.add(one.slot)
            if len(slots) == SWEEP_LINKS:
                lasted = min(lasted, one.at - start.at)
                break
        inside = {one.slot for one in near if start.at <= one.at <= start.at + SWEEP_WITHIN}
        best = max(best, len(inside))
    return best, lasted
