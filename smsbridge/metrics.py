"""Every metric, in one place. Labels are closed lists (states, reasons, provider names): never a number or a JID."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60)

UNKNOWN: Final = "unknown"  # the provider of a callback where no account is certain
_OUTCOMES: Final = ("accepted", "rejected", "deferred", "indeterminate")
_SET_ASIDE: Final = ("quarantined", "bounced")
_REFUSALS: Final = (400, 403, 404, 405, 408, 413, 415, 429, 500, 503)


class Metrics:
    """The process's own registry; built once by the service, handed to who counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.inbound_taken = self._counter("inbound_taken", "Inbound messages committed", "provider", "kind")
        self.inbound_repeated = self._counter("inbound_repeated", "Inbound messages known already", "provider")
        self.inbound_conflicted = self._counter("inbound_conflicted", "Known ids with another text", "provider")
        self.inbound_unrouted = self._counter("inbound_unrouted", "Inbound messages to no line of ours", "provider")
        self.inbound_caught_up = self._counter(
            "inbound_caught_up", "Inbound messages found in the carrier's list, not told by callback", "provider"
        )
        self.sent_elsewhere = self._counter(
            "sent_elsewhere", "Listed texts that no answer of a carrier told of", "provider", "fate"
        )
        self.media_settled = self._counter("media_settled", "Attachments that came in, by their end", "provider", "how")
        self.enclosures_settled = self._counter(
            "enclosures_settled", "Files that go out, by how they do", "provider", "how"
        )
        self.polls = self._counter("polls", "Looks into a carrier's list", "provider", "outcome")
        self.callbacks = self._counter("callbacks", "Callbacks by HTTP status", "provider", "status")
        self.files_asked = self._counter(
            "files_asked", "Requests for attachments that we serve, by HTTP status", "status"
        )
        self.connections_ended = self._counter("connections_ended", "Carriers' connections that we ended", "why")
        self.outbound_accepted = self._counter("outbound_accepted", "Texts accepted from owners")
        self.outbound_refused = self._counter("outbound_refused", "Texts refused", "reason")
        self.outbound_repeated = self._counter("outbound_repeated", "Stanzas that a client repeated")
        self.part_outcomes = self._counter("part_outcomes", "What became of send attempts", "provider", "outcome")
        self.looks = self._counter("looks", "Looks for texts of unknown fate, by what they showed", "provider", "found")
        self.duplicates_unavoidable = self._counter(
            "duplicates_unavoidable", "Texts that a carrier took late, after they had been sent again", "provider"
        )
        self.deliveries = self._counter("deliveries", "Stanzas by how their hand-over ended", "kind", "state")
        self.deliveries_doubted = self._counter("deliveries_doubted", "Stanzas handed again after a server's death")
        self.streams_opened = self._counter("streams_opened", "XMPP component streams opened")
        self.holds = self._gauge("holds", "Accounts and lines on hold", "provider", "hold")
        self.alerts = self._gauge("alerts", "Alerts that last", "kind")
        self.backlog = self._gauge("backlog", "Rows by state", "table", "state")
        self.oldest_seconds = Gauge(
            "smsbridge_oldest_waiting_seconds", "Age of the oldest waiting row", ["table"], registry=self.registry
        )
        self.stream_up = Gauge("smsbridge_stream_up", "1 while the component stream is open", registry=self.registry)
        self.server_promises = Gauge(
            "smsbridge_server_promises",
            "1 for what was found about each promise of the XMPP server",
            ["promise", "verdict"],
            registry=self.registry,
        )
        self.loops_late = Gauge(
            "smsbridge_loops_late", "Loops that have not turned when they should", registry=self.registry
        )
        self.store_failing = Gauge(
            "smsbridge_store_failing", "1 while the store refuses, or does not answer", registry=self.registry
        )
        self.send_seconds = Histogram(
            "smsbridge_send_seconds", "Calls to send a part", ["provider"], registry=self.registry, buckets=SECONDS
        )
        self.commit_seconds = Histogram(
            "smsbridge_commit_seconds", "Group commits", registry=self.registry, buckets=SECONDS
        )

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"smsbridge_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"smsbridge_{name}", words, labels, registry=self.registry)

    def start_at_zero(self, providers: Iterable[str], kinds: Iterable[str]) -> None:
        """What alerts ask the increase of is there from the start: what first shows as 1 has not increased.

        `kinds`: of stanzas.
        """
        known = tuple(providers)
        for provider in known:
            self.inbound_unrouted.labels(provider)
            for outcome in _OUTCOMES:
                self.part_outcomes.labels(provider, outcome)
        for provider in (*known, UNKNOWN):
            for status in _REFUSALS:
                self.callbacks.labels(provider, status)
        for kind in kinds:
            for state in _SET_ASIDE:
                self.deliveries.labels(kind, state)

    def openings(self) -> int:
        """How often the stream was opened."""
        return int(next(iter(self.streams_opened.collect())).samples[0].value)

    def render(self) -> bytes:
        """The exposition text for Prometheus."""
        return generate_latest(self.registry)
