"""The catalogue in English: what admins are told."""

from typing import Final

from smsbridge.core.words.say import Plural
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.tongue import Entries

_T = Tell

FOR_ADMINS: Final[Entries] = {
    _T.ALERT_ACCOUNT: "A carrier does not accept an account as it is configured.",
    _T.ADVICE_ACCOUNT: "Put it right in the carrier's portal or in the configuration, then reload.",
    _T.ALERT_BALANCE: "The balance of an account is low.",
    _T.ADVICE_BALANCE: "Add funds in the carrier's portal: without them nothing is sent.",
    _T.ALERT_BOUNCE: "The XMPP server returned a text.",
    _T.ADVICE_BOUNCE: "See whether the account exists, and whether its server can be reached and keeps messages; "
    "or whether its owner has blocked that number.",
    _T.ALERT_CAP: "A cap is nearly used up.",
    _T.ADVICE_CAP: "If this is as it should be, raise it under caps and reload.",
    _T.ALERT_CLOCK: "This machine's clock is wrong.",
    _T.ADVICE_CLOCK: "Set it, and let it be kept (timedatectl set-ntp true): times and daily limits follow it.",
    _T.ALERT_DISK: "The disk with the database is nearly full.",
    _T.ADVICE_DISK: "Make room. Until then new texts are refused; carriers come again with theirs, but not for ever.",
    _T.ALERT_HELD: "A carrier takes no texts from an account or a number.",
    _T.ADVICE_HELD: "Look into the carrier's portal. One text at a time tries whether it is mended.",
    _T.ALERT_LISTS: "The list of a carrier cannot be read.",
    _T.ADVICE_LISTS: "Look for poll_failed in the journal: what a webhook misses is not found meanwhile.",
    _T.ALERT_LOOP: "Two machines seem to answer each other.",
    _T.ADVICE_LOOP: "Look for an automatic answer at the owner's client, and switch it off.",
    _T.ALERT_QUARANTINE: "A text could not be shown, and was set aside.",
    _T.ADVICE_QUARANTINE: "Please report it: it is kept, and nothing else waits for it.",
    _T.ALERT_RATION: "The messages that a carrier takes in a day are nearly used up.",
    _T.ADVICE_RATION: "Ask the carrier for more if you need them, and set daily_limit.",
    _T.ALERT_RECONCILE: "What became of a send in doubt cannot be found out at a carrier.",
    _T.ADVICE_RECONCILE: "Look at the list in its portal. Texts in doubt are not sent again; their writers are told.",
    _T.ALERT_STREAM: "There is no stream to the XMPP server.",
    _T.ADVICE_STREAM: "See that it runs and knows the component. What comes in meanwhile is kept.",
    _T.ALERT_UNSTEADY: "The stream to the XMPP server breaks again and again.",
    _T.ADVICE_UNSTEADY: "Look for stream_lost in the journal, for a second smsbridge, at the server's limits for "
    "components.",
    _T.ALERT_WAITING: "Something has waited for too long.",
    _T.ADVICE_WAITING: "delivery: the XMPP server does not take it; outbox: the carrier does not. The journal says "
    "why.",
    _T.ALERT_WEBHOOKS: "Webhooks of a carrier are not arriving.",
    _T.ADVICE_WEBHOOKS: "Look at the URL in its portal, at the reverse proxy and at the key.",
    _T.ADVISED: "{words} {to_do}",
    _T.ALL_ARE_OVER: "All are over.",
    _T.SOME_ARE_OVER: Plural("{n} of them is over.", "{n} of them are over."),
    _T.WHAT_AND_ENDED: "{what} {ended}",
    _T.OF_A_KIND: "{count} of a kind: {what} The last: {last}",
    _T.STILL_SO: Plural(
        "Still so after {span}, and {n} of its kind: {words}",
        "Still so after {span}, and {n} of its kind: {words}",
        "Still so after {span}: {words}",
    ),
    _T.IT_LASTED: Plural("{words} It lasted {span}.", "{words} It lasted {span}, {n} times."),
    _T.OVER_AFTER: Plural("Over after {span}: {words}", "Over after {span}, {n} times: {words}"),
    _T.SENDS_AGAIN: "The account {provider} sends again; what waited goes out ({holds} is over).",
    _T.HELD_ACCOUNT: "The account {provider} is on hold, its texts wait ({code}): {words}",
    _T.HELD_LINE: "The line {did} is on hold, its texts wait ({code}): {words}",
    _T.HELD_ENDS: "Nothing has to be done: they leave when it is over.",
    _T.STREAM_DOWN: "There is no stream to the XMPP server since {since:clock}.",
    _T.STREAM_UNSTEADY: Plural(
        "The stream to the XMPP server was opened once in 15 minutes.",
        "The stream to the XMPP server was opened {n} times in 15 minutes.",
    ),
    _T.CARRIER_WAITED_FOR: "A text has waited for the carrier for {span}.",
    _T.SERVER_WAITED_FOR: "A message has waited for the XMPP server for {span}.",
    _T.CLOCK_SAYS: "The clock of this machine says {at:isodate}, which is long past.",
    _T.DISK_SHORT: "The disk has {mib} MiB left, new texts are taken from {floor} MiB on.",
    _T.RESTORED: "The bridge was restored from {backup}. Nothing leaves until an admin has looked at it: {parts} "
    "Those that the carrier lists as sent are marked so within minutes, if it has a list. Of the others smsbridge "
    "release --send sends them (what had left all the same arrives twice), smsbridge release --discard gives them "
    "back to their writers. {doubtful} {stanzas} Texts since the backup that a carrier repeats are shown once more, "
    "likewise.",
    _T.BACKUP: "a backup",
    _T.BACKUP_OF: "a backup of {at:stamp}",
    _T.PARTS_WAITED: Plural(
        "{n} part of a text waited then, and may have left since.",
        "{n} parts of texts waited then, and may have left since.",
    ),
    _T.SENDS_LOOKED_INTO: Plural(
        "{n} send of unknown fate is looked into.",
        "{n} sends of unknown fate are looked into.",
    ),
    _T.STANZAS_HANDED: Plural(
        "{n} stanza is handed now, perhaps for a second time, with the id it had.",
        "{n} stanzas are handed now, perhaps for a second time, with the ids they had.",
    ),
    _T.LIST_DISTRUSTED: "The account {provider} does not list a text that it has certainly sent: until it does, "
    "texts of unknown fate are not looked up.",
    _T.LIST_TRUSTED: "The account {provider} lists what it has sent again; texts of unknown fate are looked up.",
    _T.LIST_READ: "The list of texts of {provider} can be read again.",
    _T.LIST_FAILING: "The list of texts of {provider} could not be read for an hour: a text whose webhook is lost "
    "would not be found.",
    _T.WEBHOOKS_MISSING: "Webhooks are not arriving: the list of {provider} shows texts that it had not told of by "
    "itself ({n} so far). They are delivered, minutes late.",
    _T.WEBHOOKS_ARRIVING: "Webhooks of {provider} are arriving again.",
    _T.CANNOT_BE_SHOWN: "A text came for {recipient} that cannot be shown as a message ({why}). It is kept as "
    "{delivery}.",
    _T.CAME_BACK: "A text for {recipient} came back from the XMPP server ({condition}). It is kept, and not tried "
    "again.",
    _T.TEXT_TO_NOBODY: "A text from {sender} came for {did}, which no line of the configuration has over {provider}. "
    "It reads:{content:\n}",
    _T.ACCOUNT: "Account {name}: {findings:; }.",
    _T.CHECK_LOGIN_WORKS: "the login works; {carrier} sees this machine as {address}",
    _T.CHECK_UNTOLD_ADDRESS: "an address it does not tell",
    _T.CHECK_ENTER_ADDRESS: "enter {address} as an allowed address in the portal ({portal})",
    _T.CHECK_LOGIN_REFUSED: "{carrier} refuses the login: take the e-mail address of the account and the API "
    "password of the portal ({portal}; not the portal's own password; one longer than 32 characters may be refused "
    "though the portal took it)",
    _T.CHECK_API_OFF: "the API is switched off: switch it on in the portal ({portal})",
    _T.CHECK_EMPTY_CALL: "the call arrived empty: is there a redirect or a proxy before api_url?",
    _T.CHECK_NO_ANSWER: "{carrier} gave no answer that can be used ({code}): {why}",
    _T.CHECK_LOOK_AT_NETWORK: "look at the name service, the firewall and this machine's clock",
    _T.CHECK_IT_IS_SLOW: "it is slow at times; try again in some minutes",
    _T.CHECK_LOOK_AT_URL: "look at api_url, or try again in some minutes",
    _T.CHECK_ANSWERED: "{carrier} answered {code}",
    _T.CHECK_ANSWERED_SO: "{carrier} answered {code}: {meaning}",
    _T.CHECK_UNTOLD_BALANCE: "{carrier} did not tell the balance",
    _T.CHECK_LOW_BALANCE: "the balance is low: {amount:money} {currency}",
    _T.CHECK_BALANCE: "the balance is {amount:money} {currency}",
    _T.CHECK_NO_NUMBERS: "the account has no numbers",
    _T.CHECK_NUMBERS: Plural("the account has {n} number", "the account has {n} numbers"),
    _T.CHECK_NUMBER_MISSING: "the number {did} of the configuration is not in this account: look for a slip of the pen",
    _T.CHECK_CANNOT_TEXT: "the number {did} cannot text at all",
    _T.CHECK_SMS_OFF: "SMS is switched off for the number {did}: switch it on in the portal, DID settings",
    _T.FILE_TO_NOBODY: "With a text from {peer} for {did}, which nobody has, came a file: {file}",
}
