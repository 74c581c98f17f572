"""The catalogue in English, and how English counts and dates."""

from types import MappingProxyType
from typing import Final

from smsbridge.core.words.english_admins import FOR_ADMINS
from smsbridge.core.words.english_carriers import OF_CARRIERS
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
    _S.TOO_MANY_PARTS: "This text would be {n} messages, and {most} is the most. It was not sent; shorten it.",
    _S.SERVICE_NUMBER: "Emergency and service numbers cannot be texted from here.",
    _S.NO_SHORT_CODES: "This number's carrier cannot send to short codes.",
    _S.ANOTHER_ACCOUNT_NOW: "This text was not sent: its number goes over another account now.",
    _S.NUMBER_MOVED: "This text was not sent: the number it was to leave from is not yours any more, or goes over "
    "another account.",
    _S.CANNOT_CHANGE: "A text that was sent cannot be changed. Send what you want to add as a new text.",
    _S.CANNOT_RETRACT: "A text that was sent cannot be taken back.",
    _S.ENCRYPTED_FILE: "This file was not sent: it is encrypted. Turn encryption off for this contact, and try again.",
    _S.FROM_THE_PORTAL: "you, from the portal: {text}",
    _S.EMPTY_TEXT: "(an empty text)",
    _S.NO_ATTACHMENT_HERE: "(an attachment is not available here: {why}. The carrier has it at {url} for a while.)",
    _S.RESTORED_AND_HELD: "The bridge was restored from a backup, and an admin has to look at what waited then.",
    _S.LOCKED_BY_ADMIN: "An administrator has locked all numbers, and nothing leaves until they are unlocked.",
    _S.LOCKED_BY_OWNER: "The number is locked by an owner, and nothing leaves it until it is unlocked.",
    _S.NO_ATTACHMENT: "(an attachment is not available here: {why}.)",
}

_ENCLOSED: Final[Entries] = {
    _S.FILE_NOT_HAD: "This message was not sent, since a file of it could not be fetched: {why}.",
    _S.FILE_IS_LATE: "the file that comes with it is still being fetched.",
    _S.FILE_SHRUNK: "Your picture was made smaller, so that it fits.",
    _S.FILE_RECODED: "Your picture was put into a format that phones know.",
    _S.FILE_STILLED: "Only the first frame of your picture goes out, so that it fits.",
    _S.FILE_LINKED: "Your file goes as a link: {why}.",
    _S.FILES_GO: "Of your {of} files: {done}.",
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
    _S.WHY_LARGE: "it is too large",
    _S.WHY_KIND: "it is of a kind that is not passed on",
    _S.WHY_NOWHERE: "this gateway has no place to leave it at",
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
    _S.DOES_NAME: "call a number so, for you alone; without a name: as before",
    _S.LABEL_NUMBER: "Number",
    _S.LABEL_NAME: "Name",
    _S.SIGN_NUMBER: "NUMBER",
    _S.SIGN_NAME: "[NAME]",
    _S.NAMED: "{peer} is called {name} for you now.",
    _S.NAME_DROPPED: "{peer} has no name of yours any more.",
    _S.NO_NUMBER_TO_NAME: "This is not a number that can have a name. Write it with + and country code, such as "
    "+15559870002.",
    _S.NO_NAME: "This cannot be a name: there is nothing in it that shows, or it is a number itself.",
    _S.TOO_MANY_NAMES: "You have named {most} numbers, and there is no room for more.",
    _S.NO_SUCH_ITEM: "There is no such thing here.",
    _S.ONLY_READ: "This can only be read.",
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
    _S.ASKED_BEFORE: "{question} (This question comes from a backup. What you may have answered since is not known"
    " here: to have the text sent now may send it twice.)",
    _S.DISCARDED_SINCE: "{waited} An admin has discarded it.",
    _S.IS_IT_MEANT: "Your text to {peer} waits: it is your first to {destination}. Is it meant?",
    _S.SHORT_CODES: "short codes",
    _S.NUMBERS_IN: "numbers in {region}",
    _S.CONFIRMED: "What waited is sent as soon as it can be. You are not asked about {destination} again.",
    _S.CONFIRMED_AND_NOTHING_WAITS: "Nothing waits for it any more. You are not asked about {destination} again.",
    _S.WAS_NOT_SENT: "It was not sent.",
    _S.WANTS_TEXTS_AGAIN: "{peer} wants texts from {did} again.",
    _S.NOT_YOURS_ANY_MORE: "{did} is not your number any more.",
    _S.WRITE_AGAIN: "You can write to {peer} again.",
    _S.NOTHING_MORE_IS_SENT: "Nothing more is sent to {peer} until START comes from there.",
    _S.HAS_OPTED_OUT: "This text was not sent: {peer} has written {word}, which asks for no more texts from this "
    "number. You can write again when START comes from there, or when you have told the bridge that it was only talk.",
    _S.ONLY_TALK: "{peer} has written {word}, which asks for no more texts from {did}. What you write to it is "
    "refused until START comes from there. Was it only talk, and may you go on?",
    _S.ALL_NUMBERS: "All numbers",
    _S.LOCKED_NOW: "{whose}: locked. {outcome}",
    _S.LOCKED_ALREADY: "{whose}: locked already. {outcome}",
    _S.LOCKED_BY: "{whose}: locked by {by}. {outcome}",
    _S.UNLOCKED_NOW: "{whose}: unlocked. {outcome}",
    _S.UNLOCKED_ALREADY: "{whose}: unlocked already. {outcome}",
    _S.UNLOCKED_BY: "{whose}: unlocked by {by}. {outcome}",
    _S.WRITTEN_WAITS: "Nothing leaves from now on; what is written waits. What comes in is delivered.",
    _S.WAITED_GOES: "What waited goes out.",
    _S.STILL_LOCKED: "Nothing leaves yet: an administrator has locked all numbers.",
    _S.USAGE: "{word} {signs}",
    _S.SIGNS: "{signs: }",
    _S.WORD_HELP: "help",
    _S.WORD_QUESTIONS: "questions",
    _S.WORD_RESEND: "resend",
    _S.WORD_ARRIVED: "arrived",
    _S.WORD_DISCARD: "discard",
    _S.WORD_CONFIRM: "confirm",
    _S.WORD_LOCKDOWN: "lockdown",
    _S.WORD_NAME: "name",
}

_SPANS: Final[Entries] = {
    _S.SECONDS: Plural("{n} second", "{n} seconds"),
    _S.MINUTES: Plural("{n} minute", "{n} minutes"),
    _S.HOURS: Plural("{n} hour", "{n} hours"),
    _S.DAYS: Plural("{n} day", "{n} days"),
    _S.IN_SECONDS: Plural("in {n} second", "in {n} seconds"),
    _S.IN_MINUTES: Plural("in {n} minute (at {at:clock})", "in {n} minutes (at {at:clock})"),
    _S.IN_HOURS: Plural("in {n} hour (at {at:clock})", "in {n} hours (at {at:clock})"),
    _S.ON_DAY: "on {at:day}",
}

_FILES: Final[Entries] = {
    _S.FILE_TOO_LARGE: "it is too large for the phone network",
    _S.FILE_KIND_NOT_TAKEN: "it is of a kind that phones do not take",
    _S.FILE_DAMAGED: "it is damaged",
    _S.FILE_BOMB: "it would take too much memory to open",
    _S.FILE_SLOW: "making it smaller took too long",
    _S.FILE_NO_TOOL: "this gateway cannot convert pictures (its admin can: install smsbridge[media])",
}

_LIMITS: Final[Entries] = {
    _S.TEXTS: Plural("{n} text", "{n} texts"),
    _S.NEW_NUMBERS: Plural("{n} new number", "{n} new numbers"),
    _S.MONEY: "{amount:money} {currency}",
    _S.EACH_MINUTE: "{most} a minute",
    _S.EACH_DAY: "{most} a day",
    _S.EACH_MONTH: "{most} a month",
    _S.LIMIT_OF_YOURS: "the limit of {limit} for you",
    _S.LIMIT_OF_NUMBER: "the limit of {limit} for this number",
    _S.LIMIT_OF_ALL: "the limit of {limit} for everybody here",
    _S.LIMIT_USED_UP: "This text was not sent: {limit} is used up. It opens again {when}.",
    _S.LIMIT_WOULD_BE_PASSED: "This text was not sent: {limit} would be passed. It opens again {when}.",
    _S.CAP_OF: "{cap} of {who}",
    _S.CAP_USED_UP: "used up",
    _S.CAP_USED_TO: "used to {percent} %",
    _S.CAP_IS_SPENT: "The cap of {cap} is {spent}; it opens again {when}.",
    _S.RAISE_CAP: "If this is as it should be, raise {key} and reload.",
    _S.RATION_USED_UP: Plural(
        "The {n} message a day that {provider} takes is used up; they begin anew {when}.",
        "The {n} messages a day that {provider} takes are used up; they begin anew {when}.",
    ),
    _S.RATION_REFUSED: Plural(
        "This text was not sent: the {n} message a day that {provider} takes is used up; they begin anew {when}.",
        "This text was not sent: the {n} messages a day that {provider} takes are used up; they begin anew {when}.",
    ),
    _S.RATION_NEARLY_USED_UP: "The account {provider} has sent {used} of {limit} messages today; they begin anew "
    "{when}.",
    _S.LOOP_UNTIL: "This text was not sent: this looks like two machines answering each other. Texts to this number "
    "go on {when}.",
    _S.LOOP_STOPPED: "Texts from {did} to {peer} are stopped for 10 minutes: {owner} seems to have a machine there "
    "that answers another one. What is written meanwhile is refused in words.",
}

_PRESENCE: Final[Entries] = {
    _S.OUTLOOK_HELD: "{why} What you write waits.",
    _S.OUTLOOK_SILENT: "The carrier cannot be reached. What you write waits.",
    _S.OUTLOOK_ACCOUNT: "The carrier does not accept this gateway's account. What you write waits until that is put "
    "right.",
    _S.OUTLOOK_HELD_BACK: "Nothing leaves until an administrator has released it. What you write waits.",
    _S.OUTLOOK_SPENT: "What you write is refused for now: {limit} is used up.",
    _S.OUTLOOK_RATION_SPENT: Plural(
        "What you write is refused until tomorrow: the {n} message a day that {provider} takes is used up.",
        "What you write is refused until tomorrow: the {n} messages a day that {provider} takes are used up.",
    ),
    _S.OUTLOOK_STOPPED: "{word} came from here: no more texts are wanted.",
    _S.TYPE_A_NUMBER: "Type a phone number, with its country code outside the United States and Canada.",
    _S.PHONE_NUMBER: "Phone number",
    _S.NO_PHONE_NUMBER: "This is no phone number that can be texted.",
    _S.NO_TEXT_YET: "There was no text between you and this number yet.",
}

_ENTRIES: Final[Entries] = MappingProxyType(
    {
        **_REASONS,
        **_TEXTS,
        **_ENCLOSED,
        **_FILES,
        **_LIMITS,
        **OF_CARRIERS,
        **_QUESTIONS,
        **_PRESENCE,
        **_SPANS,
        **FOR_ADMINS,
    }
)

ENGLISH: Final = Tongue(
    entries=_ENTRIES,
    is_one=lambda n: n == 1,
    months=(
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    clock="{:%H:%M} UTC",
    first="1",
    point=".",
)  # fmt: skip
