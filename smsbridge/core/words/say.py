"""What is said to people, in no language yet: a key of the catalogue and what fills the places of its sentence.

    Say.TOO_MANY_PARTS(n=11, most=10) ─▶ Phrase ─▶ (text in a row: `packing`) ─▶ `wording.worded`, in a language

Who finds out what is to be said seldom knows to whom, so rooms pass phrases around, and they become text where the one
who reads it is known. A plain `str` in place of a phrase is said as it is: a carrier's own words, a number.

A key's value stands in rows: to rename one is to forget what these said.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class Language(StrEnum):
    """Named as `xml:lang` and the configuration name them."""

    ENGLISH = "en"
    FRENCH = "fr"


@dataclass(frozen=True, slots=True)
class Plural:
    """A sentence that depends on a count, `n`. Without `none`, nought is said as the language counts it."""

    one: str
    many: str
    none: str = ""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence, or a piece of one, with what fills its places."""

    key: "Say"
    fields: tuple[tuple[str, "Field"], ...] = ()


Words: TypeAlias = Phrase | str
Field: TypeAlias = str | int | datetime | Phrase | tuple[Words, ...]


class Say(StrEnum):
    """Every key. To call one gives its phrase."""

    def __call__(self, **fields: Field) -> Phrase:
        return Phrase(self, tuple(fields.items()))

    # why a text did not go out: one for each `Reason`, by its name
    NOT_OWNER = "not_owner"
    BAD_ADDRESS = "bad_address"
    MOVED_ADDRESS = "moved_address"
    NOT_ANSWERABLE = "not_answerable"
    GROUP_UNSUPPORTED = "group_unsupported"
    DESTINATION_REFUSED = "destination_refused"
    OWN_NUMBER = "own_number"
    OVER_CAP = "over_cap"
    LOOP = "loop"
    OPTED_OUT = "opted_out"
    UNCONFIRMED = "unconfirmed"
    ENCRYPTED = "encrypted"
    TOO_LONG = "too_long"
    EMPTY = "empty"
    MEDIA_REFUSED = "media_refused"
    MEDIA_UNFETCHED = "media_unfetched"
    INVALID_DESTINATION = "invalid_destination"
    CARRIER_REFUSED = "carrier_refused"
    QUOTA = "quota"
    FUNDS = "funds"
    ACCOUNT_FAULT = "account_fault"
    LINE_FAULT = "line_fault"
    THROTTLED = "throttled"
    PROVIDER_DOWN = "provider_down"
    LOCKED = "locked"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNSURE = "unsure"
    NO_ROOM = "no_room"
    NOT_STORED = "not_stored"
    BUG = "bug"

    # what became of a text
    MOVED_TO = "moved_to"
    NOT_LEFT_YET = "not_left_yet"
    WAITS_ITS_TURN = "waits_its_turn"
    FOUND = "found"
    CALLED_OFF = "called_off"
    WENT_TWICE = "went_twice"
    WENT_TWICE_ADMIN = "went_twice_admin"
    GOES_AS_LINK = "goes_as_link"
    LOOKED_FOR = "looked_for"
    PART_FAILED = "part_failed"
    NOTHING_LEFT = "nothing_left"
    SOME_LEFT = "some_left"
    SOME_LEFT_FOR_CERTAIN = "some_left_for_certain"
    DOUBT = "doubt"
    DOUBT_OF_PART = "doubt_of_part"
    DOUBT_AND_REST = "doubt_and_rest"
    NOT_WITHIN_A_DAY = "not_within_a_day"
    NO_ACCOUNT = "no_account"
    YOUR_TEXT = "your_text"

    # what becomes of files that go out, and why
    FILE_NOT_HAD = "file_not_had"
    FILE_IS_LATE = "file_is_late"
    FILE_SHRUNK = "file_shrunk"
    FILE_RECODED = "file_recoded"
    FILE_STILLED = "file_stilled"
    FILE_LINKED = "file_linked"
    FILES_GO = "files_go"
    FILES_SHRUNK = "files_shrunk"
    FILES_RECODED = "files_recoded"
    FILES_STILLED = "files_stilled"
    FILES_LINKED = "files_linked"
    WHY_URL = "why_url"
    WHY_PLACE = "why_place"
    WHY_ADDRESS = "why_address"
    WHY_REDIRECTED = "why_redirected"
    WHY_UNREACHABLE = "why_unreachable"
    WHY_SLOW = "why_slow"
    WHY_REFUSED = "why_refused"
    WHY_GONE = "why_gone"
    WHY_EMPTY = "why_empty"
    WHY_PACKED = "why_packed"
    WHY_FULL = "why_full"
    WHY_FALSE = "why_false"
    WHY_ENDLESS = "why_endless"
    WHY_LOST = "why_lost"

    # questions, and what can be said to the bridge
    QUESTION = "question"
    ONE_OF = "one_of"
    OPEN_QUESTIONS = "open_questions"
    OPEN_QUESTION = "open_question"
    NO_OPEN_QUESTION = "no_open_question"
    NUMBERED = "numbered"
    WORDS_NOT_KEPT = "words_not_kept"
    NOTHING_TO_ANSWER = "nothing_to_answer"
    UNKNOWN_WORD = "unknown_word"
    COMMANDS_ARE = "commands_are"
    COMMAND = "command"
    WRITE = "write"
    NO_SUCH_COMMAND = "no_such_command"
    NO_COMMANDS_HERE = "no_commands_here"
    DOES_HELP = "does_help"
    DOES_QUESTIONS = "does_questions"
    DOES_RESEND = "does_resend"
    DOES_ARRIVED = "does_arrived"
    DOES_DISCARD = "does_discard"
    DOES_CONFIRM = "does_confirm"
    DOES_LOCKDOWN = "does_lockdown"
    LABEL_QUESTION = "label_question"
    LABEL_LOCKDOWN = "label_lockdown"
    LOCKDOWN_ON = "lockdown_on"
    LOCKDOWN_OFF = "lockdown_off"
    GATEWAY = "gateway"
    COMMANDS = "commands"
    NO_QUESTION = "no_question"
    SETTLED_MEANWHILE = "settled_meanwhile"
    ANSWERED_ALREADY = "answered_already"
    ANSWER_WITH = "answer_with"
    WORDS_FORGOTTEN = "words_forgotten"
    SETTLED_ALREADY = "settled_already"
    SENT_AGAIN = "sent_again"
    COUNTS_AS_SENT = "counts_as_sent"
    COUNTS_AS_SENT_AND_REST = "counts_as_sent_and_rest"
    YOU_DISCARDED = "you_discarded"
    NOT_SENT_AGAIN = "not_sent_again"

    # what waited when the backup was made that the bridge was restored from
    WAITED_THEN = "waited_then"
    STOPPED_SINCE = "stopped_since"
    DISCARDED_SINCE = "discarded_since"

    # what admins have to know: `Alert`, what it is and what to do
    ALERT_ACCOUNT = "alert_account"
    ADVICE_ACCOUNT = "advice_account"
    ALERT_BALANCE = "alert_balance"
    ADVICE_BALANCE = "advice_balance"
    ALERT_BOUNCE = "alert_bounce"
    ADVICE_BOUNCE = "advice_bounce"
    ALERT_CAP = "alert_cap"
    ADVICE_CAP = "advice_cap"
    ALERT_CLOCK = "alert_clock"
    ADVICE_CLOCK = "advice_clock"
    ALERT_DISK = "alert_disk"
    ADVICE_DISK = "advice_disk"
    ALERT_HELD = "alert_held"
    ADVICE_HELD = "advice_held"
    ALERT_LISTS = "alert_lists"
    ADVICE_LISTS = "advice_lists"
    ALERT_LOOP = "alert_loop"
    ADVICE_LOOP = "advice_loop"
    ALERT_QUARANTINE = "alert_quarantine"
    ADVICE_QUARANTINE = "advice_quarantine"
    ALERT_RATION = "alert_ration"
    ADVICE_RATION = "advice_ration"
    ALERT_RECONCILE = "alert_reconcile"
    ADVICE_RECONCILE = "advice_reconcile"
    ALERT_STREAM = "alert_stream"
    ADVICE_STREAM = "advice_stream"
    ALERT_UNSTEADY = "alert_unsteady"
    ADVICE_UNSTEADY = "advice_unsteady"
    ALERT_WAITING = "alert_waiting"
    ADVICE_WAITING = "advice_waiting"
    ALERT_WEBHOOKS = "alert_webhooks"
    ADVICE_WEBHOOKS = "advice_webhooks"
    ADVISED = "advised"
    ALL_ARE_OVER = "all_are_over"
    SOME_ARE_OVER = "some_are_over"
    WHAT_AND_ENDED = "what_and_ended"
    OF_A_KIND = "of_a_kind"
    STILL_SO = "still_so"
    IT_LASTED = "it_lasted"
    OVER_AFTER = "over_after"
    SENDS_AGAIN = "sends_again"
    HELD_ACCOUNT = "held_account"
    HELD_LINE = "held_line"
    HELD_ENDS = "held_ends"
    STREAM_DOWN = "stream_down"
    STREAM_UNSTEADY = "stream_unsteady"
    CARRIER_WAITED_FOR = "carrier_waited_for"
    SERVER_WAITED_FOR = "server_waited_for"
    CLOCK_SAYS = "clock_says"
    DISK_SHORT = "disk_short"

    # why a file is not made into what a carrier takes
    FILE_TOO_LARGE = "file_too_large"
    FILE_KIND_NOT_TAKEN = "file_kind_not_taken"
    FILE_DAMAGED = "file_damaged"
    FILE_BOMB = "file_bomb"
    FILE_SLOW = "file_slow"
    FILE_NO_TOOL = "file_no_tool"

    # what presence says, and what clients ask
    OUTLOOK_HELD = "outlook_held"
    OUTLOOK_SILENT = "outlook_silent"
    OUTLOOK_ACCOUNT = "outlook_account"
    OUTLOOK_HELD_BACK = "outlook_held_back"
    OUTLOOK_STOPPED = "outlook_stopped"
    TYPE_A_NUMBER = "type_a_number"
    PHONE_NUMBER = "phone_number"
    NO_PHONE_NUMBER = "no_phone_number"
    NO_TEXT_YET = "no_text_yet"

    # times
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
