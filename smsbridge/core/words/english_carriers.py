"""The catalogue in English: what a carrier said."""

from typing import Final

from smsbridge.core.words.say import Plural, Say
from smsbridge.core.words.tongue import Entries

_S = Say

OF_CARRIERS: Final[Entries] = {
    _S.CARRIER_LOGIN: "{carrier} refuses this bridge's login; its administrator has to put that right.",
    _S.CARRIER_OUTDATED: "{carrier} does not understand this bridge; its administrator has to look into it.",
    _S.CARRIER_LINE_OFF: "{carrier} says this line cannot text: the number is not in the account, or SMS is off for "
    "it.",
    _S.CARRIER_BUG: "{carrier} did not understand the message; that is a fault of this bridge.",
    _S.CARRIER_FILE: "{carrier} does not take this attachment.",
    _S.CARRIER_FILE_LARGE: "{carrier} says this attachment is too large.",
    _S.CARRIER_API_OFF: "The {carrier} API is switched off; the administrator has to switch it on.",
    _S.CARRIER_ADDRESS: "{carrier} does not let this bridge in from its address; the administrator has to allow it.",
    _S.CARRIER_FUNDS: "The balance at {carrier} is too low to send.",
    _S.CARRIER_QUOTA: "Today's messages at {carrier} are used up.",
    _S.CARRIER_REGULATIONS: "{carrier} does not let this line text, for regulatory reasons.",
    _S.CARRIER_MINUTE_FULL: "{carrier} takes no more messages this minute.",
    _S.CARRIER_WANTS_A_MINUTE: "{carrier} wants a minute between two changes.",
    _S.CARRIER_MAINTENANCE: "{carrier} is closed for maintenance at the moment.",
    _S.CARRIER_BEHIND_IT: "The carrier behind {carrier} is out of service.",
    _S.CARRIER_UNAVAILABLE: "{carrier} is not available at the moment.",
    _S.CARRIER_CONNECTIONS: "{carrier} has trouble with its connections at the moment.",
    _S.CARRIER_DESTINATION: "{carrier} says this number cannot receive texts.",
    _S.CARRIER_TOO_LONG: "{carrier} says this message is too long.",
    _S.CARRIER_EMPTY: "{carrier} does not send an empty message.",
    _S.CARRIER_OF_PEER: "The other side's carrier did not take the message.",
    _S.CARRIER_DOWN: "The carrier cannot be reached at the moment.",
    _S.CARRIER_BUSY: "The carrier takes no more messages at the moment.",
    _S.CARRIER_FEWER_FILES: Plural(
        "{carrier} takes {n} attachment at a time.",
        "{carrier} takes {n} attachments at a time.",
    ),
    _S.CARRIER_MOVED: "The carrier's address has moved; the administrator has to correct it.",
    _S.CARRIER_REFUSES_US: "The carrier turns this bridge away; its administrator has to look into it.",
}
