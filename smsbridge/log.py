"""What is said to the journal: one closed list of past-tense events, structured, to stderr.

No secret, no message text and no full phone number is ever a value: numbers go through `core.address.mask`.
"""

import functools
import json
import logging
import sys
from enum import StrEnum
from typing import Final, Literal

import structlog

Format = Literal["json", "console"]


class Event(StrEnum):
    """Every event that smsbridge logs. A test holds this list and the code together."""

    SERVICE_STARTED = "service_started"
    SERVICE_STOPPING = "service_stopping"
    SERVICE_STOPPED = "service_stopped"
    SERVICE_CRASHED = "service_crashed"
    CONFIG_RELOADED = "config_reloaded"
    CONFIG_REFUSED = "config_refused"
    CONFIG_WARNED = "config_warned"
    PROGRESS_LOST = "progress_lost"
    PROGRESS_REGAINED = "progress_regained"
    CAPS_SET = "caps_set"
    STORE_OPENED = "store_opened"
    STORE_FAILED = "store_failed"
    OLD_COPY_FOUND = "old_copy_found"
    STANDING_BY = "standing_by"
    LEASE_TAKEN = "lease_taken"
    LEASE_LOST = "lease_lost"
    FAILPOINTS_ARMED = "failpoints_armed"
    FAILPOINT_REACHED = "failpoint_reached"
    PROVIDER_CHECKED = "provider_checked"
    PROVIDER_CHECK_FAILED = "provider_check_failed"
    STREAM_OPENED = "stream_opened"
    STREAM_LOST = "stream_lost"
    STREAM_REFUSED = "stream_refused"
    FENCE_TIMED_OUT = "fence_timed_out"
    FENCE_FELL_BACK = "fence_fell_back"
    SERVER_CHECKED = "server_checked"
    SERVER_CHECK_FAILED = "server_check_failed"
    SERVER_PROMISE_DOUBTED = "server_promise_doubted"
    SAFEKEEPING_FOUND = "safekeeping_found"
    SAFEKEEPING_MISSED = "safekeeping_missed"
    SERVER_PROMISE_KEPT = "server_promise_kept"
    DELIVERIES_DOUBTED = "deliveries_doubted"
    DELIVERIES_ADOPTED = "deliveries_adopted"
    DELIVERY_QUARANTINED = "delivery_quarantined"
    DELIVERY_BOUNCED = "delivery_bounced"
    STANZA_IGNORED = "stanza_ignored"
    STANZA_FAILED = "stanza_failed"
    TEXT_ACCEPTED = "text_accepted"
    TEXT_REFUSED = "text_refused"
    TEXT_REPEATED = "text_repeated"
    MESSAGE_TAKEN = "message_taken"
    MESSAGES_TAKEN = "messages_taken"
    MESSAGE_REPEATED = "message_repeated"
    MESSAGE_CONFLICTED = "message_conflicted"
    MESSAGE_UNROUTED = "message_unrouted"
    MESSAGES_CAUGHT_UP = "messages_caught_up"
    POLL_FAILED = "poll_failed"
    MEDIA_PUBLISHED = "media_published"
    MEDIA_PUT_OFF = "media_put_off"
    MEDIA_GIVEN_UP = "media_given_up"
    OWN_DOOR_MISSED = "own_door_missed"
    MEDIA_STUCK = "media_stuck"
    MEDIA_CRASHED = "media_crashed"
    ENCLOSURE_SETTLED = "enclosure_settled"
    UPLOAD_MISSED = "upload_missed"
    SENT_ELSEWHERE = "sent_elsewhere"
    COPY_RETURNED = "copy_returned"
    ROSTER_REFUSED = "roster_refused"
    BOOK_READ = "book_read"
    BOOK_FAILED = "book_failed"
    PRIVILEGES_GRANTED = "privileges_granted"
    REPORTS_MISSING = "reports_missing"
    REPORT_UNMATCHED = "report_unmatched"
    CALLBACK_REFUSED = "callback_refused"
    CALLBACKS_REFUSED = "callbacks_refused"
    FILE_FAILED = "file_failed"
    CALLBACK_FAILED = "callback_failed"
    PART_SENT = "part_sent"
    PART_DEFERRED = "part_deferred"
    PART_HELD = "part_held"
    PART_FAILED = "part_failed"
    PART_UNKNOWN = "part_unknown"
    PART_FOUND = "part_found"
    PART_PROVED_ABSENT = "part_proved_absent"
    PART_RESENT_BLINDLY = "part_resent_blindly"
    PART_SENT_TWICE = "part_sent_twice"
    PART_UNSURE = "part_unsure"
    LOOK_PROVED_NOTHING = "look_proved_nothing"
    LISTING_DISTRUSTED = "listing_distrusted"
    LISTING_TRUSTED = "listing_trusted"
    RESENDING_BLINDLY = "resending_blindly"
    PART_EXPIRED = "part_expired"
    LATE_ANSWER_APPLIED = "late_answer_applied"
    SEND_CRASHED = "send_crashed"
    ALERT_RAISED = "alert_raised"
    ALERT_CLEARED = "alert_cleared"
    COMMAND_RUN = "command_run"
    HOLD_RAISED = "hold_raised"
    HOLD_LIFTED = "hold_lifted"


# One for all lines: json.dumps makes another for each as soon as it is told anything.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, default=repr)


def configure(style: Format, level: int = logging.INFO) -> None:
    """Send everything to stderr, as JSON lines or for human eyes; libraries speak from WARNING on.

    It may be called again: every `Log` follows.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if style == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(serializer=lambda record, **_: _ENCODER.encode(record))
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _logger_of.cache_clear()  # the old ones have kept the old way
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


@functools.cache
def _logger_of(room: str) -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


class Log:
    """A logger that takes events of the list only."""

    def __init__(self, room: str) -> None:
        self._room = room

    def info(self, event: Event, **values: object) -> None:
        _logger_of(self._room).info(event.value, **values)

    def warning(self, event: Event, **values: object) -> None:
        _logger_of(self._room).warning(event.value, **values)

    def error(self, event: Event, **values: object) -> None:
        _logger_of(self._room).error(event.value, **values)

    def crash(self, event: Event, error: BaseException, **values: object) -> None:
        """An exception that is our bug: its type and where it was raised, never its text (it may quote a body)."""
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}" if frame else ""
        _logger_of(self._room).error(event.value, error=type(error).__name__, where=where, **values)
