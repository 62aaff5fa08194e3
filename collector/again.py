"""AGAIN: the rules over a copy's whole history, from what was kept of its hits.

Law: run twice, the second time finds nothing new.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime

from collector.hit import Nearby, Scene, Trace
from collector.kept import Seen, kept_of
from collector.sweeps import NEIGHBOURS_WITHIN, PLACES_WITHIN
from collector.tale import (
    MAX_OTHERS,
    judge_again,
    judge_inferred,
    relabellings,
    settle_first,
    trace_of_hit,
)
from ledger.histories import History
from ledger.story import PastEvent, Relabelling


def judge_history(history: History, now: datetime) -> list[Relabelling]:
    """Return the events of a copy that are judged anew, and what they are now.

    Events of hits of which nothing but a judgement was kept stand as they are.
    """
    judged = list(_judged(history))
    return relabellings(history.events, settle_first(judged), now)


def _judged(history: History) -> Iterator[PastEvent]:
    seen = [
        (hit.hit_id, trace_of_hit(hit, kept, history.links.get(hit.slot)))
        for hit in history.hits
        if isinstance(kept := kept_of(hit), Seen)
    ]
    place = {hit_id: number for number, (hit_id, _) in enumerate(seen)}
    traces = [trace for _, trace in seen]
    moments = [trace.at for trace in traces]
    done: dict[str, PastEvent] = {}
    for event in history.events:
        number = None if event.hit_id is None else place.get(event.hit_id)
        if event.inferred_from in done:
            yield judge_inferred(event, done[event.inferred_from])
        elif number is None:
            yield event
        else:
            done[event.event_id] = judge_again(event, _scene(history, traces, moments, number))
            yield done[event.event_id]


def _scene(history: History, traces: list[Trace], moments: list[datetime], number: int) -> Scene:
    hit = traces[number]
    start = bisect_left(moments, hit.at - PLACES_WITHIN)
    end = bisect_right(moments, hit.at + PLACES_WITHIN)
    others = (*traces[start:number], *traces[number + 1 : end])
    return Scene(
        hit,
        others[-MAX_OTHERS:],
        history.readers,
        history.relayed_at,
        tuple(_nearby(history, hit.at)),
    )


def _nearby(history: History, at: datetime) -> Iterator[Nearby]:
    def moment(one: tuple[datetime, int, str]) -> datetime:
        return one[0]

    start = bisect_left(history.nearby, at - NEIGHBOURS_WITHIN, key=moment)
    end = bisect_right(history.nearby, at + NEIGHBOURS_WITHIN, key=moment)
    for when, copy_id, network in history.nearby[start:end]:
        if copy_id != history.copy_id:
            yield Nearby(copy_id, when, network)
