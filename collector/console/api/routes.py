"""The routes of the API: one table, of which router and openapi.json are made."""

from typing import Any

from collector.console.api import asked, told
from collector.console.api.consent import list_consent, set_consent, tell_consent
from collector.console.api.events import count_events, list_events
from collector.console.api.hooks import list_dead_letters, resend_dead_letters, tell_webhooks
from collector.console.api.messages import list_messages, tell_message
from collector.console.api.policy import switch_tracking, tell_pair, tell_policy
from collector.console.api.queue import act_on_copies, list_queue
from collector.console.api.recipients import tell_recipient
from collector.console.api.route import Route
from collector.console.api.stream import stream_events
from ledger.role import Scope

PREFIX = "/api/v1"

ROUTES: tuple[Route[Any], ...] = (
    Route(
        "GET",
        "/messages",
        Scope.READ,
        list_messages,
        asked.MessagesAsked,
        told.MessagesTold,
        "Sends, the latest first.",
    ),
    Route(
        "GET",
        "/messages/{send_id}",
        Scope.READ,
        tell_message,
        asked.MessageAsked,
        told.MessageTold,
        "One send: its recipients, what was decided for each and why, its events.",
    ),
    Route(
        "GET",
        "/events",
        Scope.READ,
        list_events,
        asked.EventsAsked,
        told.EventsTold,
        "Events, newest or oldest first.",
    ),
    Route(
        "GET",
        "/events/stream",
        Scope.READ,
        stream_events,
        asked.StreamAsked,
        None,
        "Events as they are recorded, by server-sent events; re-labellings too.",
    ),
    Route(
        "GET",
        "/recipients/{address}",
        Scope.READ,
        tell_recipient,
        asked.RecipientAsked,
        told.RecipientTold,
        "One recipient: what he was sent, what he did with it, what holds of his consent.",
    ),
    Route(
        "GET",
        "/queue",
        Scope.READ,
        list_queue,
        asked.QueueAsked,
        told.QueueTold,
        "Copies that are not settled: what is due first, and what is held last.",
    ),
    Route(
        "POST",
        "/queue",
        Scope.ADMIN,
        act_on_copies,
        asked.QueueActing,
        told.ActsDoneTold,
        "Retry, hold, release, drop or bounce the copies that are named.",
    ),
    Route(
        "GET",
        "/consent",
        Scope.READ,
        list_consent,
        asked.PageAsked,
        told.ConsentsTold,
        "What was told last of each address and domain.",
    ),
    Route(
        "GET",
        "/consent/{subject}",
        Scope.READ,
        tell_consent,
        asked.SubjectAsked,
        told.ConsentTold,
        "What holds for an address or domain, and all that was told of it.",
    ),
    Route(
        "PUT",
        "/consent/{subject}",
        Scope.ADMIN,
        set_consent,
        asked.ConsentTelling,
        told.ConsentTold,
        "Record what was told of an address or domain.",
    ),
    Route(
        "GET",
        "/policy",
        Scope.READ,
        tell_policy,
        asked.NothingAsked,
        told.PolicyTold,
        "What is in force: the switch, the configuration's ceiling, all rules.",
    ),
    Route(
        "GET",
        "/policy/pair",
        Scope.READ,
        tell_pair,
        asked.PairAsked,
        told.PairTold,
        "What would be done with an ordinary mail of one sender to one recipient.",
    ),
    Route(
        "PUT",
        "/policy/tracking",
        Scope.ADMIN,
        switch_tracking,
        asked.Switching,
        told.SwitchedTold,
        "Switch tracking off or on for everybody.",
    ),
    Route(
        "GET",
        "/webhooks",
        Scope.READ,
        tell_webhooks,
        asked.NothingAsked,
        told.WebhooksTold,
        "How each webhook does.",
    ),
    Route(
        "GET",
        "/webhooks/dead",
        Scope.READ,
        list_dead_letters,
        asked.PageAsked,
        told.DeadLettersTold,
        "What webhooks did not take within a day.",
    ),
    Route(
        "POST",
        "/webhooks/resend",
        Scope.ADMIN,
        resend_dead_letters,
        asked.Resending,
        told.ResentTold,
        "Send dead letters again.",
    ),
    Route(
        "GET",
        "/stats",
        Scope.READ,
        count_events,
        asked.StatsAsked,
        told.StatsTold,
        "How many events of each type each day has, and how many are of programs.",
    ),
)
