"""The catalogue in French, and how French counts, dates and sets its signs.

It is written with plain blanks and apostrophes; `set_signs` gives each sentence those that belong there.
"""

import re
from types import MappingProxyType
from typing import Final

from smsbridge.core.words.say import Plural, Say
from smsbridge.core.words.tongue import Entries, Tongue

_S = Say
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_BEFORE: Final = re.compile(r" (?=[:;!?»%])")


def set_signs(text: str) -> str:
    """No line is broken before ! ? ; : % » and after «; an apostrophe is a curved one."""
    return _BEFORE.sub(_NO_BREAK, text).replace("« ", f"«{_NO_BREAK}").replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


_REASONS: Final[Entries] = {
    _S.NOT_OWNER: "Ce compte ne peut pas envoyer de textos d'ici. "
    "Demandez un numéro à l'administrateur de cette passerelle.",
    _S.BAD_ADDRESS: "On ne peut pas envoyer de texto à cette adresse. "
    "Écrivez le numéro avec + et l'indicatif du pays devant le @, par exemple +15559870002.",
    _S.MOVED_ADDRESS: "Ce numéro s'écrit autrement ici : avec + et l'indicatif du pays, par exemple +15559870002.",
    _S.NOT_ANSWERABLE: "On ne peut pas répondre à cet expéditeur.",
    _S.GROUP_UNSUPPORTED: "Les textos à un groupe ne sont pas possibles ici. Écrivez à chaque numéro séparément.",
    _S.DESTINATION_REFUSED: "Les textos vers ce pays ou ce genre de numéro ne sont pas permis ici. "
    "Adressez-vous à l'administrateur de cette passerelle.",
    _S.OWN_NUMBER: "Ce numéro appartient à cette passerelle : on ne peut pas lui écrire d'ici.",
    _S.OVER_CAP: "Ce texto n'a pas été envoyé : vous avez atteint la limite fixée par l'administrateur de cette "
    "passerelle. Réessayez plus tard.",
    _S.LOOP: "Ce texto n'a pas été envoyé : on dirait deux machines qui se répondent. Réessayez plus tard.",
    _S.OPTED_OUT: "Ce texto n'a pas été envoyé : votre correspondant a demandé de ne plus en recevoir de ce numéro.",
    _S.UNCONFIRMED: "Ce texto n'a pas été envoyé : on vous a demandé de le confirmer, et vous ne l'avez pas fait.",
    _S.ENCRYPTED: "Ce message n'a pas été envoyé : un texto ne peut pas être chiffré. "
    "Désactivez le chiffrement pour ce contact.",
    _S.TOO_LONG: "Ce texto n'a pas été envoyé : il est trop long. Écrivez-en un plus court.",
    _S.EMPTY: "Ce texto n'a pas été envoyé : il est vide.",
    _S.MEDIA_REFUSED: "Cette pièce jointe n'a pas été envoyée : elle est trop grande ou d'un type que les téléphones "
    "n'acceptent pas.",
    _S.MEDIA_UNFETCHED: "Ce message n'a pas été envoyé : impossible d'aller chercher le fichier qui l'accompagne. "
    "Renvoyez-le.",
    _S.INVALID_DESTINATION: "Ce texto n'a pas été envoyé : d'après l'opérateur, ce numéro ne peut pas recevoir de "
    "textos. Il est peut-être mal écrit, ou c'est une ligne fixe.",
    _S.CARRIER_REFUSED: "Ce texto n'a pas été remis : l'opérateur l'a refusé. "
    "Votre correspondant a peut-être bloqué votre numéro.",
    _S.QUOTA: "Ce texto n'a pas été envoyé : la limite de textos de l'opérateur est atteinte. Réessayez plus tard.",
    _S.FUNDS: "Ce texto n'a pas été envoyé : il n'y a plus d'argent sur le compte chez l'opérateur. "
    "Prévenez l'administrateur de cette passerelle.",
    _S.ACCOUNT_FAULT: "Ce texto n'a pas été envoyé : l'opérateur n'accepte pas le compte de cette passerelle. "
    "Prévenez-en l'administrateur.",
    _S.LINE_FAULT: "Ce texto n'a pas été envoyé : l'opérateur ne laisse pas ce numéro envoyer de textos. "
    "Prévenez l'administrateur de cette passerelle.",
    _S.THROTTLED: "Ce texto n'a pas été envoyé : l'opérateur reçoit trop de demandes à la fois. Réessayez plus tard.",
    _S.PROVIDER_DOWN: "Ce texto n'a pas été envoyé : l'opérateur est injoignable. Réessayez plus tard.",
    _S.LOCKED: "Ce texto n'a pas été envoyé : le numéro est verrouillé, et rien n'en part. "
    "Renvoyez-le quand il sera déverrouillé.",
    _S.EXPIRED: "Ce texto n'a pas été envoyé : il a attendu l'opérateur trop longtemps. "
    "Renvoyez-le s'il compte encore.",
    _S.CANCELLED: "Ce texto a été annulé avant d'être envoyé.",
    _S.UNSURE: "Ce texto n'a peut-être pas été envoyé. L'opérateur n'a pas répondu clairement ; il n'a donc pas été "
    "renvoyé. Demandez à votre correspondant avant de le répéter.",
    _S.NO_ROOM: "Ce texto n'a pas été envoyé : cette passerelle n'a plus de place pour le garder. Réessayez plus tard.",
    _S.NOT_STORED: "Ce texto n'a sans doute pas été envoyé : cette passerelle n'a pas pu l'enregistrer. "
    "Attendez un moment qu'il soit coché avant de le renvoyer.",
    _S.BUG: "Ce texto n'a sans doute pas été envoyé : quelque chose a mal tourné dans cette passerelle. "
    "Prévenez-en l'administrateur.",
}

_TEXTS: Final[Entries] = {
    _S.MOVED_TO: "Ce numéro s'écrit autrement ici : écrivez à {instead}.",
    _S.NOT_LEFT_YET: "Votre texto n'est pas encore parti : {why} Il partira dès que possible, sinon vous le saurez "
    "d'ici un jour.",
    _S.WAITS_ITS_TURN: "il attend que partent ceux qui le précèdent.",
    _S.FOUND: "Le texto qui n'était peut-être pas parti est bien parti.",
    _S.CALLED_OFF: "Un texto qu'on vous avait dit non envoyé est finalement parti : l'opérateur l'a pris en retard.",
    _S.WENT_TWICE: "Un de vos textos est parti deux fois : l'opérateur l'a pris en retard, quand il avait déjà été "
    "renvoyé.",
    _S.WENT_TWICE_ADMIN: "Un texto passé par le compte {provider} à {peer} est parti deux fois : l'opérateur l'a pris "
    "en retard.",
    _S.GOES_AS_LINK: "Votre fichier part sous forme de lien dans le texto : ce numéro ne peut pas envoyer d'images.",
    _S.LOOKED_FOR: "On ne sait pas encore si votre texto est parti : l'opérateur n'a pas répondu, et on le lui "
    "demande. Vous le saurez dès que possible.",
    _S.PART_FAILED: "Partie {part} sur {of} : {why} {left}",
    _S.NOTHING_LEFT: "Rien n'en a été envoyé.",
    _S.SOME_LEFT: Plural("{n} partie sur {of} avait été envoyée.", "{n} parties sur {of} avaient été envoyées."),
    _S.SOME_LEFT_FOR_CERTAIN: Plural(
        "{n} partie sur {of} a été envoyée à coup sûr.",
        "{n} parties sur {of} ont été envoyées à coup sûr.",
        "Aucune des {of} parties n'a été envoyée à coup sûr.",
    ),
    _S.DOUBT: "Votre texto de {at:clock} à {peer} est peut-être parti, peut-être pas : l'opérateur n'a pas répondu "
    "clairement.",
    _S.DOUBT_OF_PART: "La partie {part} sur {of} de votre texto de {at:clock} à {peer} est peut-être partie, "
    "peut-être pas : l'opérateur n'a pas répondu clairement.",
    _S.DOUBT_AND_REST: "{doubt} La suite attend votre réponse, et partira à moins que vous n'y renonciez.",
    _S.NOT_WITHIN_A_DAY: "Ce texto n'a pas pu être envoyé en un jour. {why}",
    _S.NO_ACCOUNT: "Ce texto n'a pas été envoyé : le compte par lequel il devait partir n'est plus configuré.",
    _S.YOUR_TEXT: "Votre texto « {start} » : {words}",
}

_ENCLOSED: Final[Entries] = {
    _S.FILE_NOT_HAD: "Ce message n'a pas été envoyé : impossible d'aller chercher un de ses fichiers ({why}).",
    _S.FILE_IS_LATE: "on va encore chercher le fichier qui l'accompagne.",
    _S.FILE_SHRUNK: "Votre image a été réduite pour convenir.",
    _S.FILE_RECODED: "Votre image a été convertie dans un format que les téléphones connaissent.",
    _S.FILE_STILLED: "Seule la première vue de votre image part, pour convenir.",
    _S.FILE_LINKED: "Votre fichier part sous forme de lien : {why}.",
    _S.FILES_GO: "De vos {of} fichiers partent : {done}.",
    _S.FILES_SHRUNK: Plural("{n} réduit", "{n} réduits"),
    _S.FILES_RECODED: Plural("{n} converti", "{n} convertis"),
    _S.FILES_STILLED: Plural("{n} réduit à sa première vue", "{n} réduits à leur première vue"),
    _S.FILES_LINKED: Plural("{n} sous forme de lien ({why})", "{n} sous forme de liens ({why})"),
    _S.WHY_URL: "son adresse n'est pas de celles que l'on consulte",
    _S.WHY_PLACE: "il est à un endroit où cette passerelle ne va pas chercher de fichiers",
    _S.WHY_ADDRESS: "son adresse mène à un réseau privé",
    _S.WHY_REDIRECTED: "son adresse renvoie trop souvent ailleurs",
    _S.WHY_UNREACHABLE: "l'endroit où il se trouve est injoignable",
    _S.WHY_SLOW: "il n'est pas arrivé à temps",
    _S.WHY_REFUSED: "le serveur qui l'a ne l'a pas donné",
    _S.WHY_GONE: "il n'y est plus",
    _S.WHY_EMPTY: "il est vide",
    _S.WHY_PACKED: "il est arrivé sous une forme que l'on ne décompresse pas ici",
    _S.WHY_FULL: "cette passerelle n'avait pas de place pour lui",
    _S.WHY_FALSE: "il n'est pas ce que son serveur prétend",
    _S.WHY_ENDLESS: "il ne finit pas là où il devrait",
    _S.WHY_LOST: "il n'y est plus tel qu'il était",
}

_QUESTIONS: Final[Entries] = {
    _S.QUESTION: "[{number}] {words} Répondez ici : {choices}.",
    _S.ONE_OF: "{first} ou {last}",
    _S.OPEN_QUESTIONS: "{questions:\n}",
    _S.OPEN_QUESTION: "{question} ({choices: / })",
    _S.NO_OPEN_QUESTION: "Il n'y a pas de question en suspens.",
    _S.NUMBERED: "[{number}] {words}",
    _S.WORDS_NOT_KEPT: "Au sujet d'un texto du {at:date} dont les mots ne sont plus gardés.",
    _S.NOTHING_TO_ANSWER: "Il n'y a pas de question en suspens à laquelle cela répondrait.",
    _S.UNKNOWN_WORD: "Je ne connais pas ce mot. {commands}",
    _S.COMMANDS_ARE: "Voici ce que je comprends :\n{commands:\n}",
    _S.COMMAND: "{usage} : {does}",
    _S.WRITE: "Écrivez {usage}.",
    _S.NO_SUCH_COMMAND: "Cette commande n'existe pas.",
    _S.NO_COMMANDS_HERE: "Il n'y a pas de commandes ici. Adressez-vous à la passerelle elle-même.",
    _S.DOES_HELP: "cette liste",
    _S.DOES_QUESTIONS: "ce que je vous ai demandé et qui attend votre réponse",
    _S.DOES_RESEND: "renvoyer le texto de la question N",
    _S.DOES_ARRIVED: "le texto de la question N est arrivé",
    _S.DOES_DISCARD: "ne pas envoyer le texto de la question N",
    _S.DOES_CONFIRM: "oui, envoyer le texto de la question N",
    _S.DOES_LOCKDOWN: "on : rien ne part de vos numéros (pour un administrateur : d'aucun numéro) ; off : ce qui "
    "attendait part",
    _S.LABEL_QUESTION: "Question",
    _S.LABEL_LOCKDOWN: "Verrouillage",
    _S.LOCKDOWN_ON: "Activé : rien ne part",
    _S.LOCKDOWN_OFF: "Désactivé : ce qui attendait part",
    _S.GATEWAY: "Passerelle SMS",
    _S.COMMANDS: "Commandes",
    _S.NO_QUESTION: "Il n'y a pas de question {number}.",
    _S.SETTLED_MEANWHILE: "[{number}] est réglée entre-temps. Rien n'a changé.",
    _S.ANSWERED_ALREADY: "[{number}] a déjà sa réponse : {answer}. Rien n'a changé.",
    _S.ANSWER_WITH: "On peut répondre à [{number}] par {choices}.",
    _S.WORDS_FORGOTTEN: "Impossible de le renvoyer : ses mots ne sont plus gardés. Récrivez-le s'il compte encore.",
    _S.SETTLED_ALREADY: "C'est déjà réglé ; rien n'a changé.",
    _S.SENT_AGAIN: "Il est renvoyé.",
    _S.COUNTS_AS_SENT: "Il compte comme envoyé.",
    _S.COUNTS_AS_SENT_AND_REST: "Il compte comme envoyé ; le reste suit.",
    _S.YOU_DISCARDED: "Vous avez renoncé à ce texto. Il est peut-être parti une fois, et ne sera pas renvoyé.",
    _S.NOT_SENT_AGAIN: "Il ne sera pas renvoyé.",
    _S.WAITED_THEN: "Ce texto était en attente dans la sauvegarde depuis laquelle la passerelle a été restaurée. "
    "On ignore ici s'il est parti depuis.",
    _S.STOPPED_SINCE: "{waited} {peer} a écrit {word} : il n'est donc pas envoyé maintenant.",
    _S.DISCARDED_SINCE: "{waited} Un administrateur y a renoncé.",
}

_ALERTS: Final[Entries] = {
    _S.ALERT_ACCOUNT: "Un opérateur n'accepte pas un compte tel qu'il est configuré.",
    _S.ADVICE_ACCOUNT: "Corrigez-le dans le portail de l'opérateur ou dans la configuration, puis rechargez.",
    _S.ALERT_BALANCE: "Le solde d'un compte est bas.",
    _S.ADVICE_BALANCE: "Ajoutez des fonds dans le portail de l'opérateur : sans eux, rien n'est envoyé.",
    _S.ALERT_BOUNCE: "Le serveur XMPP a renvoyé un texto.",
    _S.ADVICE_BOUNCE: "Voyez si le compte existe, et si son serveur est joignable et garde les messages.",
    _S.ALERT_CAP: "Un plafond est presque atteint.",
    _S.ADVICE_CAP: "Si c'est normal, relevez-le sous caps et rechargez.",
    _S.ALERT_CLOCK: "L'horloge de cette machine est fausse.",
    _S.ADVICE_CLOCK: "Réglez-la, et faites-la tenir à l'heure (timedatectl set-ntp true) : les heures et les limites "
    "quotidiennes en dépendent.",
    _S.ALERT_DISK: "Le disque de la base de données est presque plein.",
    _S.ADVICE_DISK: "Faites de la place. D'ici là, les nouveaux textos sont refusés ; les opérateurs représentent "
    "les leurs, mais pas indéfiniment.",
    _S.ALERT_HELD: "Un opérateur ne prend aucun texto d'un compte ou d'un numéro.",
    _S.ADVICE_HELD: "Regardez dans le portail de l'opérateur. Un texto à la fois essaie si c'est réparé.",
    _S.ALERT_LISTS: "La liste d'un opérateur est illisible.",
    _S.ADVICE_LISTS: "Cherchez poll_failed dans le journal : ce qu'un webhook manque n'est pas retrouvé entre-temps.",
    _S.ALERT_LOOP: "On dirait deux machines qui se répondent.",
    _S.ADVICE_LOOP: "Cherchez une réponse automatique dans le client du propriétaire, et désactivez-la.",
    _S.ALERT_QUARANTINE: "Un texto n'a pas pu être affiché, et a été mis de côté.",
    _S.ADVICE_QUARANTINE: "Merci de le signaler : il est gardé, et rien d'autre ne l'attend.",
    _S.ALERT_RATION: "Les messages qu'un opérateur prend par jour sont presque épuisés.",
    _S.ADVICE_RATION: "Demandez-en davantage à l'opérateur s'il vous en faut, et réglez daily_limit.",
    _S.ALERT_RECONCILE: "Impossible d'apprendre d'un opérateur ce qu'est devenu un envoi incertain.",
    _S.ADVICE_RECONCILE: "Regardez la liste dans son portail. Les textos incertains ne sont pas renvoyés ; leurs "
    "auteurs en sont informés.",
    _S.ALERT_STREAM: "Il n'y a pas de flux vers le serveur XMPP.",
    _S.ADVICE_STREAM: "Vérifiez qu'il tourne et connaît le composant. Ce qui arrive entre-temps est gardé.",
    _S.ALERT_UNSTEADY: "Le flux vers le serveur XMPP ne cesse de se rompre.",
    _S.ADVICE_UNSTEADY: "Cherchez stream_lost dans le journal, un second smsbridge, les limites du serveur pour les "
    "composants.",
    _S.ALERT_WAITING: "Quelque chose attend depuis trop longtemps.",
    _S.ADVICE_WAITING: "delivery : le serveur XMPP ne le prend pas ; outbox : c'est l'opérateur. Le journal dit "
    "pourquoi.",
    _S.ALERT_WEBHOOKS: "Les webhooks d'un opérateur n'arrivent pas.",
    _S.ADVICE_WEBHOOKS: "Vérifiez l'URL dans son portail, le mandataire inverse et la clé.",
    _S.ADVISED: "{words} {to_do}",
    _S.ALL_ARE_OVER: "Tous sont terminés.",
    _S.SOME_ARE_OVER: Plural("{n} est terminé.", "{n} sont terminés."),
    _S.WHAT_AND_ENDED: "{what} {ended}",
    _S.OF_A_KIND: "{count} du même genre : {what} Le dernier : {last}",
    _S.STILL_SO: Plural(
        "Toujours ainsi après {span}, et {n} autre du même genre : {words}",
        "Toujours ainsi après {span}, et {n} autres du même genre : {words}",
        "Toujours ainsi après {span} : {words}",
    ),
    _S.IT_LASTED: Plural("{words} Cela a duré {span}.", "{words} Cela a duré {span}, {n} fois."),
    _S.OVER_AFTER: Plural("Terminé après {span} : {words}", "Terminé après {span}, {n} fois : {words}"),
    _S.SENDS_AGAIN: "Le compte {provider} envoie de nouveau ; ce qui attendait part ({holds} : terminé).",
    _S.HELD_ACCOUNT: "Le compte {provider} est en attente, ses textos patientent ({code}) : {words}",
    _S.HELD_LINE: "La ligne {did} est en attente, ses textos patientent ({code}) : {words}",
    _S.HELD_ENDS: "Il n'y a rien à faire : ils partent quand c'est terminé.",
    _S.STREAM_DOWN: "Il n'y a pas de flux vers le serveur XMPP depuis {since:clock}.",
    _S.STREAM_UNSTEADY: Plural(
        "Le flux vers le serveur XMPP a été ouvert {n} fois en 15 minutes.",
        "Le flux vers le serveur XMPP a été ouvert {n} fois en 15 minutes.",
    ),
    _S.CARRIER_WAITED_FOR: "Un texto attend l'opérateur depuis {span}.",
    _S.SERVER_WAITED_FOR: "Un message attend le serveur XMPP depuis {span}.",
    _S.CLOCK_SAYS: "L'horloge de cette machine indique {at:isodate}, qui est passé depuis longtemps.",
    _S.DISK_SHORT: "Il reste {mib} Mio sur le disque ; les nouveaux textos sont pris à partir de {floor} Mio.",
}

_FILES: Final[Entries] = {
    _S.FILE_TOO_LARGE: "il est trop volumineux pour le réseau téléphonique",
    _S.FILE_KIND_NOT_TAKEN: "il est d'un type que les téléphones n'acceptent pas",
    _S.FILE_DAMAGED: "il est endommagé",
    _S.FILE_BOMB: "l'ouvrir demanderait trop de mémoire",
    _S.FILE_SLOW: "le réduire a pris trop de temps",
    _S.FILE_NO_TOOL: "cette passerelle ne sait pas convertir les images "
    "(à son administrateur : installer smsbridge[media])",
}

_PRESENCE: Final[Entries] = {
    _S.OUTLOOK_HELD: "{why} Ce que vous écrivez attend.",
    _S.OUTLOOK_SILENT: "L'opérateur est injoignable. Ce que vous écrivez attend.",
    _S.OUTLOOK_ACCOUNT: "L'opérateur n'accepte pas le compte de cette passerelle. Ce que vous écrivez attend "
    "que ce soit réparé.",
    _S.OUTLOOK_HELD_BACK: "Rien ne part avant qu'un administrateur ne l'ait permis. Ce que vous écrivez attend.",
    _S.OUTLOOK_STOPPED: "On a répondu {word} d'ici : on ne veut plus de textos.",
    _S.TYPE_A_NUMBER: "Tapez un numéro de téléphone, avec l'indicatif du pays hors des États-Unis et du Canada.",
    _S.PHONE_NUMBER: "Numéro de téléphone",
    _S.NO_PHONE_NUMBER: "Ce n'est pas un numéro auquel on peut envoyer des textos.",
    _S.NO_TEXT_YET: "Il n'y a pas encore eu de texto entre vous et ce numéro.",
}

_SPANS: Final[Entries] = {
    _S.SECONDS: Plural("{n} seconde", "{n} secondes"),
    _S.MINUTES: Plural("{n} minute", "{n} minutes"),
    _S.HOURS: Plural("{n} heure", "{n} heures"),
    _S.DAYS: Plural("{n} jour", "{n} jours"),
}

_ENTRIES: Final[Entries] = {**_REASONS, **_TEXTS, **_ENCLOSED, **_QUESTIONS, **_ALERTS, **_FILES, **_PRESENCE, **_SPANS}

FRENCH: Final = Tongue(
    entries=MappingProxyType({
        key: set_signs(entry)
        if isinstance(entry, str)
        else Plural(*(set_signs(text) for text in (entry.one, entry.many, entry.none)))
        for key, entry in _ENTRIES.items()
    }),
    is_one=lambda n: n < 2,
    months=(
        "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
        "décembre",
    ),
    clock=f"{{:%H{_NO_BREAK}h{_NO_BREAK}%M}} UTC",
    first="1er",
    point=",",
)  # fmt: skip
