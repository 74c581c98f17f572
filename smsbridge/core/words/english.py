"""The catalogue in English, and how English counts and dates."""

from types import MappingProxyType
from typing import Final

from smsbridge.core.words.say import Plural, Say
from smsbridge.core.words.tongue import Entries, Tongue

_S = Say

_REASONS: Final[Entries] = {
    _S.NOT_OWNER: "This account may not send texts from here. Ask the administrator of this gateway for a number.",
    _S.BAD_ADDRESS: "This is not an address that can be texted. "
    "Write the number with + and country code before the @, such as +15559870002.",
    _S.MOVED_ADDRESS: "This number is written differently here: with + and country code, such as +15559870002.",
    _S.NOT_ANSWERABLE: "This sender cannot be answered.",
    _S.GROUP_UNSUPPORTED: "Texts to a group are not possible here. Write to each number by itself.",
    _S.DESTINATION_REFUSED: "Texts to this country or kind of number are not allowed here. "
    "Ask the administrator of this gateway.",
    _S.OWN_NUMBER: "This number belongs to this gateway and cannot be texted from it.",
    _S.OVER_CAP: "This text was not sent: you have reached the limit that the administrator of this gateway has set. "
    "Try again later.",
    _S.LOOP: "This text was not sent: it looks like two machines answering each other. Try again later.",
    _S.OPTED_OUT: "This text was not sent: the other side has asked for no more texts from this number.",
    _S.UNCONFIRMED: "This text was not sent: you were asked whether it is meant, and did not confirm it.",
    _S.ENCRYPTED: "This message was not sent: a text cannot be encrypted. Turn encryption off for this contact.",
    _S.TOO_LONG: "This text was not sent: it is too long. Write a shorter one.",
    _S.EMPTY: "This text was not sent: there is nothing in it.",
    _S.MEDIA_REFUSED: "This attachment was not sent: it is too large or of a kind that phones do not take.",
    _S.MEDIA_UNFETCHED: "This message was not sent: the file that comes with it could not be fetched. Send it again.",
    _S.INVALID_DESTINATION: "This text was not sent: the carrier says that this number cannot take texts. "
    "It may be mistyped, or a landline.",
    _S.CARRIER_REFUSED: "This text was not delivered: the carrier refused it. "
    "The other side may have blocked your number.",
    _S.QUOTA: "This text was not sent: the carrier's limit on texts is reached. Try again later.",
    _S.FUNDS: "This text was not sent: the carrier account has no money left. Tell the administrator of this gateway.",
    _S.ACCOUNT_FAULT: "This text was not sent: the carrier does not accept this gateway's account. "
    "Tell the administrator of this gateway.",
    _S.LINE_FAULT: "This text was not sent: the carrier does not let this number send texts. "
    "Tell the administrator of this gateway.",
    _S.THROTTLED: "This text was not sent: the carrier is asked too much at once. Try again later.",
    _S.PROVIDER_DOWN: "This text was not sent: the carrier cannot be reached. Try again later.",
    _S.LOCKED: "This text was not sent: the number is locked, and nothing leaves it. "
    "Send it again when it is unlocked.",
    _S.EXPIRED: "This text was not sent: it waited too long for the carrier. Send it again if it still matters.",
    _S.CANCELLED: "This text was cancelled before it was sent.",
    _S.UNSURE: "This text may not have been sent. The carrier gave no clear answer, so it was not sent again; "
    "ask the other side before you repeat it.",
    _S.NO_ROOM: "This text was not sent: this gateway has no room left to keep it. Try again later.",
    _S.NOT_STORED: "This text was probably not sent: this gateway could not store it. "
    "Wait a while for a tick before you send it again.",
    _S.BUG: "This text was probably not sent: something went wrong in this gateway. Tell its administrator.",
}

_TEXTS: Final[Entries] = {
    _S.MOVED_TO: "This number is written differently here: write to {instead}.",
    _S.NOT_LEFT_YET: "Your text has not left yet: {why} It is sent as soon as it can be, or you are told within a day.",
    _S.WAITS_ITS_TURN: "it waits for those before it.",
    _S.FOUND: "The text that may not have been sent has left after all.",
    _S.CALLED_OFF: "A text that you were told was not sent has left after all: the carrier took it late.",
    _S.WENT_TWICE: "A text of yours went out twice: the carrier took it late, after it had been sent again.",
    _S.WENT_TWICE_ADMIN: "A text over the account {provider} to {peer} went out twice: the carrier took it late.",
    _S.GOES_AS_LINK: "Your file goes as a link in the text: no pictures can be sent from this number.",
    _S.LOOKED_FOR: "It is not known yet whether your text left: the carrier gave no answer, and is being asked."
    " You are told as soon as it is known.",
    _S.PART_FAILED: "Part {part} of {of}: {why} {left}",
    _S.NOTHING_LEFT: "Nothing of it was sent.",
    _S.SOME_LEFT: Plural("{n} of {of} parts had been sent.", "{n} of {of} parts had been sent."),
    _S.SOME_LEFT_FOR_CERTAIN: Plural(
        "{n} of {of} parts was sent for certain.", "{n} of {of} parts were sent for certain."
    ),
    _S.DOUBT: "Your text of {at:clock} to {peer} may or may not have been sent: the carrier gave no clear answer.",
    _S.DOUBT_OF_PART: "Part {part} of {of} of your text of {at:clock} to {peer} may or may not have been sent:"
    " the carrier gave no clear answer.",
    _S.DOUBT_AND_REST: "{doubt} What comes after it waits for your word, and goes out unless you discard it.",
    _S.NOT_WITHIN_A_DAY: "This text could not be sent within a day. {why}",
    _S.NO_ACCOUNT: "This text was not sent: the account it was to leave through is not configured any more.",
    _S.YOUR_TEXT: "Your text “{start}”: {words}",
}

_ENCLOSED: Final[Entries] = {
    _S.FILE_NOT_HAD: "This message was not sent, since a file of it could not be fetched: {why}.",
    _S.FILE_IS_LATE: "the file that comes with it is still being fetched.",
    _S.FILE_SHRUNK: "Your picture was made smaller, so that it fits.",
    _S.FILE_RECODED: "Your picture was put into a format that phones know.",
    _S.FILE_STILLED: "Only the first frame of your picture goes out, so that it fits.",
    _S.FILE_LINKED: "Your file goes as a link: {why}.",
    _S.FILES_GO: "Of your {of} files go out: {done}.",
    _S.FILES_SHRUNK: Plural("{n} made smaller", "{n} made smaller"),
    _S.FILES_RECODED: Plural("{n} in a format that phones know", "{n} in a format that phones know"),
    _S.FILES_STILLED: Plural("{n} as its first frame", "{n} as their first frames"),
    _S.FILES_LINKED: Plural("{n} as a link ({why})", "{n} as links ({why})"),
    _S.WHY_URL: "its address is not one that is fetched",
    _S.WHY_PLACE: "it is at a place that this gateway does not fetch from",
    _S.WHY_ADDRESS: "its address leads into a private network",
    _S.WHY_REDIRECTED: "its address leads on too often",
    _S.WHY_UNREACHABLE: "where it is could not be reached",
    _S.WHY_SLOW: "it did not arrive in time",
    _S.WHY_REFUSED: "the server that has it did not give it out",
    _S.WHY_GONE: "it is not there any more",
    _S.WHY_EMPTY: "there is nothing in it",
    _S.WHY_PACKED: "it came in a form that is not unpacked here",
    _S.WHY_FULL: "this gateway had no room for it",
    _S.WHY_FALSE: "it is not what its server says it is",
    _S.WHY_ENDLESS: "it does not end where it should",
    _S.WHY_LOST: "it is not there any more as it was",
}

_QUESTIONS: Final[Entries] = {
    _S.QUESTION: "[{number}] {words} Answer here: {choices}.",
    _S.ONE_OF: "{first} or {last}",
    _S.OPEN_QUESTIONS: "{questions:\n}",
    _S.OPEN_QUESTION: "{question} ({choices: / })",
    _S.NO_OPEN_QUESTION: "There is no open question.",
    _S.NUMBERED: "[{number}] {words}",
    _S.WORDS_NOT_KEPT: "About a text of {at:date} whose words are not kept any more.",
    _S.NOTHING_TO_ANSWER: "There is no open question that this would answer.",
    _S.UNKNOWN_WORD: "I do not know that word. {commands}",
    _S.COMMANDS_ARE: "These I understand:\n{commands:\n}",
    _S.COMMAND: "{usage}: {does}",
    _S.WRITE: "Write {usage}.",
    _S.NO_SUCH_COMMAND: "There is no such command.",
    _S.NO_COMMANDS_HERE: "There are no commands here. Ask the gateway itself.",
    _S.DOES_HELP: "this list",
    _S.DOES_QUESTIONS: "what I have asked you and you have not answered",
    _S.DOES_RESEND: "send the text of question N once more",
    _S.DOES_ARRIVED: "the text of question N has arrived",
    _S.DOES_DISCARD: "do not send the text of question N",
    _S.DOES_CONFIRM: "yes, send the text of question N",
    _S.DOES_LOCKDOWN: "on: nothing leaves your numbers (an admin's: no number at all); off: what waited goes out",
    _S.LABEL_QUESTION: "Question",
    _S.LABEL_LOCKDOWN: "Lockdown",
    _S.LOCKDOWN_ON: "On: nothing leaves",
    _S.LOCKDOWN_OFF: "Off: what waited goes out",
    _S.GATEWAY: "SMS gateway",
    _S.COMMANDS: "Commands",
    _S.NO_QUESTION: "There is no question {number}.",
    _S.SETTLED_MEANWHILE: "[{number}] is settled meanwhile. Nothing was changed.",
    _S.ANSWERED_ALREADY: "[{number}] is answered: {answer}. Nothing was changed.",
    _S.ANSWER_WITH: "[{number}] can be answered with {choices}.",
    _S.WORDS_FORGOTTEN: "It cannot be sent again: its words are not kept any more. Write it once more if it still "
    "matters.",
    _S.SETTLED_ALREADY: "That is settled already; nothing was changed.",
    _S.SENT_AGAIN: "It is sent again.",
    _S.COUNTS_AS_SENT: "It counts as sent.",
    _S.COUNTS_AS_SENT_AND_REST: "It counts as sent; the rest of it follows.",
    _S.YOU_DISCARDED: "You discarded this text. It may have been sent once, and is not sent again.",
    _S.NOT_SENT_AGAIN: "It is not sent again.",
    _S.WAITED_THEN: "This text waited when the backup was made that the bridge was restored from. Whether it was sent"
    " since is not known here.",
    _S.STOPPED_SINCE: "{waited} {peer} has written {word}, so it is not sent now.",
    _S.DISCARDED_SINCE: "{waited} An admin has discarded it.",
}

_ALERTS: Final[Entries] = {
    _S.ALERT_ACCOUNT: "A carrier does not accept an account as it is configured.",
    _S.ADVICE_ACCOUNT: "Put it right in the carrier's portal or in the configuration, then reload.",
    _S.ALERT_BALANCE: "The balance of an account is low.",
    _S.ADVICE_BALANCE: "Add funds in the carrier's portal: without them nothing is sent.",
    _S.ALERT_BOUNCE: "The XMPP server returned a text.",
    _S.ADVICE_BOUNCE: "See whether the account exists, and whether its server can be reached and keeps messages.",
    _S.ALERT_CAP: "A cap is nearly used up.",
    _S.ADVICE_CAP: "If this is as it should be, raise it under caps and reload.",
    _S.ALERT_CLOCK: "This machine's clock is wrong.",
    _S.ADVICE_CLOCK: "Set it, and let it be kept (timedatectl set-ntp true): times and daily limits follow it.",
    _S.ALERT_DISK: "The disk with the database is nearly full.",
    _S.ADVICE_DISK: "Make room. Until then new texts are refused; carriers come again with theirs, but not for ever.",
    _S.ALERT_HELD: "A carrier takes no texts from an account or a number.",
    _S.ADVICE_HELD: "Look into the carrier's portal. One text at a time tries whether it is mended.",
    _S.ALERT_LISTS: "The list of a carrier cannot be read.",
    _S.ADVICE_LISTS: "Look for poll_failed in the journal: what a webhook misses is not found meanwhile.",
    _S.ALERT_LOOP: "Two machines seem to answer each other.",
    _S.ADVICE_LOOP: "Look for an automatic answer at the owner's client, and switch it off.",
    _S.ALERT_QUARANTINE: "A text could not be shown, and was set aside.",
    _S.ADVICE_QUARANTINE: "Please report it: it is kept, and nothing else waits for it.",
    _S.ALERT_RATION: "The messages that a carrier takes in a day are nearly used up.",
    _S.ADVICE_RATION: "Ask the carrier for more if you need them, and set daily_limit.",
    _S.ALERT_RECONCILE: "What became of a send in doubt cannot be found out at a carrier.",
    _S.ADVICE_RECONCILE: "Look at the list in its portal. Texts in doubt are not sent again; their writers are told.",
    _S.ALERT_STREAM: "There is no stream to the XMPP server.",
    _S.ADVICE_STREAM: "See that it runs and knows the component. What comes in meanwhile is kept.",
    _S.ALERT_UNSTEADY: "The stream to the XMPP server breaks again and again.",
    _S.ADVICE_UNSTEADY: "Look for stream_lost in the journal, for a second smsbridge, at the server's limits for "
    "components.",
    _S.ALERT_WAITING: "Something has waited for too long.",
    _S.ADVICE_WAITING: "delivery: the XMPP server does not take it; outbox: the carrier does not. The journal says "
    "why.",
    _S.ALERT_WEBHOOKS: "Webhooks of a carrier are not arriving.",
    _S.ADVICE_WEBHOOKS: "Look at the URL in its portal, at the reverse proxy and at the key.",
    _S.ADVISED: "{words} {to_do}",
    _S.ALL_ARE_OVER: "All are over.",
    _S.SOME_ARE_OVER: Plural("{n} of them is over.", "{n} of them are over."),
    _S.WHAT_AND_ENDED: "{what} {ended}",
    _S.OF_A_KIND: "{count} of a kind: {what} The last: {last}",
    _S.STILL_SO: Plural(
        "Still so after {span}, and {n} of its kind: {words}",
        "Still so after {span}, and {n} of its kind: {words}",
        "Still so after {span}: {words}",
    ),
    _S.IT_LASTED: Plural("{words} It lasted {span}.", "{words} It lasted {span}, {n} times."),
    _S.OVER_AFTER: Plural("Over after {span}: {words}", "Over after {span}, {n} times: {words}"),
    _S.SENDS_AGAIN: "The account {provider} sends again; what waited goes out ({holds} is over).",
    _S.HELD_ACCOUNT: "The account {provider} is on hold, its texts wait ({code}): {words}",
    _S.HELD_LINE: "The line {did} is on hold, its texts wait ({code}): {words}",
    _S.HELD_ENDS: "Nothing has to be done: they leave when it is over.",
    _S.STREAM_DOWN: "There is no stream to the XMPP server since {since:clock}.",
    _S.STREAM_UNSTEADY: Plural(
        "The stream to the XMPP server was opened once in 15 minutes.",
        "The stream to the XMPP server was opened {n} times in 15 minutes.",
    ),
    _S.CARRIER_WAITED_FOR: "A text has waited for the carrier for {span}.",
    _S.SERVER_WAITED_FOR: "A message has waited for the XMPP server for {span}.",
    _S.CLOCK_SAYS: "The clock of this machine says {at:isodate}, which is long past.",
    _S.DISK_SHORT: "The disk has {mib} MiB left, new texts are taken from {floor} MiB on.",
}

_FILES: Final[Entries] = {
    _S.FILE_TOO_LARGE: "it is too large for the phone network",
    _S.FILE_KIND_NOT_TAKEN: "it is of a kind that phones do not take",
    _S.FILE_DAMAGED: "it is damaged",
    _S.FILE_BOMB: "it would take too much memory to open",
    _S.FILE_SLOW: "making it smaller took too long",
    _S.FILE_NO_TOOL: "this gateway cannot convert pictures (its admin can: install smsbridge[media])",
}

_PRESENCE: Final[Entries] = {
    _S.OUTLOOK_HELD: "{why} What you write waits.",
    _S.OUTLOOK_SILENT: "The carrier cannot be reached. What you write waits.",
    _S.OUTLOOK_ACCOUNT: "The carrier does not accept this gateway's account. What you write waits until that is put "
    "right.",
    _S.OUTLOOK_HELD_BACK: "Nothing leaves until an administrator has released it. What you write waits.",
    _S.OUTLOOK_STOPPED: "{word} came from here: no more texts are wanted.",
    _S.TYPE_A_NUMBER: "Type a phone number, with its country code outside the United States and Canada.",
    _S.PHONE_NUMBER: "Phone number",
    _S.NO_PHONE_NUMBER: "This is no phone number that can be texted.",
    _S.NO_TEXT_YET: "There was no text between you and this number yet.",
}

_SPANS: Final[Entries] = {
    _S.SECONDS: Plural("{n} second", "{n} seconds"),
    _S.MINUTES: Plural("{n} minute", "{n} minutes"),
    _S.HOURS: Plural("{n} hour", "{n} hours"),
    _S.DAYS: Plural("{n} day", "{n} days"),
}

ENGLISH: Final = Tongue(
    entries=MappingProxyType({
        **_REASONS, **_TEXTS, **_ENCLOSED, **_QUESTIONS, **_ALERTS, **_FILES, **_PRESENCE, **_SPANS,
    }),
    is_one=lambda n: n == 1,
    months=(
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    clock="{:%H:%M} UTC",
    first="1",
    point=".",
)  # fmt: skip
