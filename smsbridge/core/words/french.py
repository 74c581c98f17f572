"""The catalogue in French, and how French counts, dates and sets its signs.

It is written with plain blanks and apostrophes; `set_signs` gives each sentence those that belong there.
"""

import re
from types import MappingProxyType
from typing import Final

from smsbridge.core.words.french_admins import FOR_ADMINS
from smsbridge.core.words.french_carriers import OF_CARRIERS
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
    _S.DOUBT_AND_REST: "{doubt} La suite attend votre réponse, et partira à moins que vous ne l'abandonniez.",
    _S.NOT_WITHIN_A_DAY: "Ce texto n'a pas pu être envoyé en un jour. {why}",
    _S.NO_ACCOUNT: "Ce texto n'a pas été envoyé : le compte par lequel il devait partir n'est plus configuré.",
    _S.YOUR_TEXT: "Votre texto « {start} » : {words}",
    _S.TOO_MANY_PARTS: "Ce texto ferait {n} messages, et le maximum est de {most}. Il n'a pas été envoyé ; "
    "raccourcissez-le.",
    _S.SERVICE_NUMBER: "On ne peut pas écrire d'ici aux numéros d'urgence et de service.",
    _S.NO_SHORT_CODES: "L'opérateur de ce numéro ne peut pas envoyer à des numéros courts.",
    _S.ANOTHER_ACCOUNT_NOW: "Ce texto n'a pas été envoyé : son numéro passe maintenant par un autre compte.",
    _S.NUMBER_MOVED: "Ce texto n'a pas été envoyé : le numéro dont il devait partir n'est plus à vous, ou passe par "
    "un autre compte.",
    _S.CANNOT_CHANGE: "Un texto envoyé ne peut pas être modifié. Envoyez ce que vous voulez ajouter dans un nouveau "
    "texto.",
    _S.CANNOT_RETRACT: "Un texto envoyé ne peut pas être repris.",
    _S.ENCRYPTED_FILE: "Ce fichier n'a pas été envoyé : il est chiffré. Désactivez le chiffrement pour ce contact, "
    "et réessayez.",
    _S.FROM_THE_PORTAL: "vous, depuis le portail : {text}",
    _S.EMPTY_TEXT: "(un texto vide)",
    _S.NO_ATTACHMENT_HERE: "(un fichier n'est pas disponible ici : {why}. L'opérateur le garde un certain "
    "temps à l'adresse {url}.)",
    _S.RESTORED_AND_HELD: "La passerelle a été restaurée à partir d'une sauvegarde, et un administrateur doit regarder "
    "ce qui attendait alors.",
    _S.LOCKED_BY_ADMIN: "Un administrateur a verrouillé tous les numéros, et rien ne part tant qu'ils ne sont pas "
    "déverrouillés.",
    _S.LOCKED_BY_OWNER: "Le numéro est verrouillé par un propriétaire, et rien n'en part tant qu'il n'est pas "
    "déverrouillé.",
    _S.NO_ATTACHMENT: "(un fichier n'est pas disponible ici : {why}.)",
}

_ENCLOSED: Final[Entries] = {
    _S.FILE_NOT_HAD: "Ce message n'a pas été envoyé : impossible d'aller chercher un de ses fichiers ({why}).",
    _S.FILE_IS_LATE: "on va encore chercher le fichier qui l'accompagne.",
    _S.FILE_SHRUNK: "Votre image a été réduite pour convenir.",
    _S.FILE_RECODED: "Votre image a été convertie dans un format que les téléphones connaissent.",
    _S.FILE_STILLED: "Seule la première vue de votre image part, pour convenir.",
    _S.FILE_LINKED: "Votre fichier part sous forme de lien : {why}.",
    _S.FILES_GO: "De vos {of} fichiers : {done}.",
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
    _S.WHY_LARGE: "il est trop grand",
    _S.WHY_KIND: "il est d'un type que l'on ne transmet pas",
    _S.WHY_NOWHERE: "cette passerelle n'a pas d'endroit où le déposer",
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
    _S.DOES_NAME: "donner ce nom à un numéro, pour vous seul ; sans nom : comme avant",
    _S.LABEL_NUMBER: "Numéro",
    _S.LABEL_NAME: "Nom",
    _S.SIGN_NUMBER: "NUMÉRO",
    _S.SIGN_NAME: "[NOM]",
    _S.NAMED: "{peer} s’appelle maintenant {name} pour vous.",
    _S.NAME_DROPPED: "{peer} n’a plus de nom de votre part.",
    _S.NO_NUMBER_TO_NAME: "Ce n’est pas un numéro qui peut avoir un nom. Écrivez-le avec + et l’indicatif du pays, "
    "comme +15559870002.",
    _S.NO_NAME: "Cela ne peut pas être un nom : il n’y a rien de visible, ou c’est un numéro.",
    _S.TOO_MANY_NAMES: "Vous avez nommé {most} numéros, et il n’y a pas de place pour d’autres.",
    _S.NO_SUCH_ITEM: "Il n’y a rien de tel ici.",
    _S.ONLY_READ: "Ceci ne peut qu’être lu.",
    _S.LABEL_QUESTION: "Question",
    _S.LABEL_LOCKDOWN: "Verrouillage",
    _S.LOCKDOWN_ON: "Activé : rien ne part",
    _S.LOCKDOWN_OFF: "Désactivé : ce qui attendait part",
    _S.GATEWAY: "Passerelle SMS",
    _S.COMMANDS: "Commandes",
    _S.NO_QUESTION: "Il n'y a pas de question {number}.",
    _S.SETTLED_MEANWHILE: "[{number}] a été réglée entre-temps. Rien n'a changé.",
    _S.ANSWERED_ALREADY: "[{number}] a déjà sa réponse : {answer}. Rien n'a changé.",
    _S.ANSWER_WITH: "On peut répondre à [{number}] par {choices}.",
    _S.WORDS_FORGOTTEN: "Impossible de le renvoyer : ses mots ne sont plus gardés. Récrivez-le s'il compte encore.",
    _S.SETTLED_ALREADY: "C'est déjà réglé ; rien n'a changé.",
    _S.SENT_AGAIN: "Il est renvoyé.",
    _S.COUNTS_AS_SENT: "Il compte comme envoyé.",
    _S.COUNTS_AS_SENT_AND_REST: "Il compte comme envoyé ; le reste suit.",
    _S.YOU_DISCARDED: "Vous avez abandonné ce texto. Il est peut-être parti une fois, et ne sera pas renvoyé.",
    _S.NOT_SENT_AGAIN: "Il ne sera pas renvoyé.",
    _S.WAITED_THEN: "Ce texto était en attente dans la sauvegarde depuis laquelle la passerelle a été restaurée. "
    "On ignore ici s'il est parti depuis.",
    _S.STOPPED_SINCE: "{waited} {peer} a écrit {word} : il n'est donc pas envoyé maintenant.",
    _S.ASKED_BEFORE: "{question} (Cette question vient d'une sauvegarde. On ignore ici ce que vous avez pu répondre "
    "depuis : faire envoyer le texto maintenant peut l'envoyer deux fois.)",
    _S.DISCARDED_SINCE: "{waited} Un administrateur l'a abandonné.",
    _S.IS_IT_MEANT: "Votre texto à {peer} attend : c'est votre premier vers {destination}. Est-ce voulu ?",
    _S.SHORT_CODES: "des numéros courts",
    _S.NUMBERS_IN: "des numéros du pays {region}",
    _S.CONFIRMED: "Ce qui attendait part dès que possible. On ne vous interrogera plus sur l'envoi vers {destination}.",
    _S.CONFIRMED_AND_NOTHING_WAITS: "Plus rien ne l'attend. On ne vous interrogera plus sur l'envoi vers "
    "{destination}.",
    _S.WAS_NOT_SENT: "Il n'a pas été envoyé.",
    _S.WANTS_TEXTS_AGAIN: "{peer} veut de nouveau des textos de {did}.",
    _S.NOT_YOURS_ANY_MORE: "{did} n'est plus votre numéro.",
    _S.WRITE_AGAIN: "Vous pouvez de nouveau écrire à {peer}.",
    _S.NOTHING_MORE_IS_SENT: "Plus rien n'est envoyé à {peer} jusqu'à ce que START en vienne.",
    _S.HAS_OPTED_OUT: "Ce texto n'a pas été envoyé : {peer} a écrit {word}, ce qui demande de ne plus recevoir de "
    "textos de ce numéro. Vous pourrez de nouveau écrire quand START en viendra, ou quand vous aurez dit à la "
    "passerelle que ce n'était qu'une façon de parler.",
    _S.ONLY_TALK: "{peer} a écrit {word}, ce qui demande de ne plus recevoir de textos de {did}. Ce que vous lui "
    "écrivez est refusé jusqu'à ce que START en vienne. N'était-ce qu'une façon de parler, et pouvez-vous continuer ?",
    _S.ALL_NUMBERS: "Tous les numéros",
    _S.LOCKED_NOW: "{whose} : verrouillage activé. {outcome}",
    _S.LOCKED_ALREADY: "{whose} : verrouillage déjà activé. {outcome}",
    _S.LOCKED_BY: "{whose} : verrouillage activé par {by}. {outcome}",
    _S.UNLOCKED_NOW: "{whose} : verrouillage levé. {outcome}",
    _S.UNLOCKED_ALREADY: "{whose} : verrouillage déjà levé. {outcome}",
    _S.UNLOCKED_BY: "{whose} : verrouillage levé par {by}. {outcome}",
    _S.WRITTEN_WAITS: "Plus rien ne part désormais ; ce qui est écrit attend. Ce qui arrive est remis.",
    _S.WAITED_GOES: "Ce qui attendait part.",
    _S.STILL_LOCKED: "Rien ne part encore : un administrateur a verrouillé tous les numéros.",
    _S.USAGE: "{word} {signs}",
    _S.SIGNS: "{signs: }",
    _S.WORD_HELP: "aide",
    _S.WORD_QUESTIONS: "questions",
    _S.WORD_RESEND: "renvoyer",
    _S.WORD_ARRIVED: "arrivé",
    _S.WORD_DISCARD: "abandonner",
    _S.WORD_CONFIRM: "confirmer",
    _S.WORD_LOCKDOWN: "verrouillage",
    _S.WORD_NAME: "nom",
}

_SPANS: Final[Entries] = {
    _S.SECONDS: Plural("{n} seconde", "{n} secondes"),
    _S.MINUTES: Plural("{n} minute", "{n} minutes"),
    _S.HOURS: Plural("{n} heure", "{n} heures"),
    _S.DAYS: Plural("{n} jour", "{n} jours"),
    _S.IN_SECONDS: Plural("dans {n} seconde", "dans {n} secondes"),
    _S.IN_MINUTES: Plural("dans {n} minute (à {at:clock})", "dans {n} minutes (à {at:clock})"),
    _S.IN_HOURS: Plural("dans {n} heure (à {at:clock})", "dans {n} heures (à {at:clock})"),
    _S.ON_DAY: "le {at:day}",
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

_LIMITS: Final[Entries] = {
    _S.TEXTS: Plural("{n} texto", "{n} textos"),
    _S.NEW_NUMBERS: Plural("{n} nouveau numéro", "{n} nouveaux numéros"),
    _S.MONEY: "{amount:money} {currency}",
    _S.EACH_MINUTE: "{most} par minute",
    _S.EACH_DAY: "{most} par jour",
    _S.EACH_MONTH: "{most} par mois",
    _S.LIMIT_OF_YOURS: "votre limite de {limit}",
    _S.LIMIT_OF_NUMBER: "la limite de {limit} pour ce numéro",
    _S.LIMIT_OF_ALL: "la limite de {limit} pour tout le monde ici",
    _S.LIMIT_USED_UP: "Ce texto n'a pas été envoyé : {limit} est épuisée. Elle se rouvre {when}.",
    _S.LIMIT_WOULD_BE_PASSED: "Ce texto n'a pas été envoyé : {limit} serait dépassée. Elle se rouvre {when}.",
    _S.CAP_OF: "{cap} de {who}",
    _S.CAP_USED_UP: "épuisé",
    _S.CAP_USED_TO: "utilisé à {percent} %",
    _S.CAP_IS_SPENT: "Le plafond de {cap} est {spent} ; il se rouvre {when}.",
    _S.RAISE_CAP: "Si c'est normal, relevez {key} et rechargez.",
    _S.RATION_USED_UP: Plural(
        "Le message que {provider} prend par jour est épuisé ; le compte repart {when}.",
        "Les {n} messages que {provider} prend par jour sont épuisés ; le compte repart {when}.",
    ),
    _S.RATION_REFUSED: Plural(
        "Ce texto n'a pas été envoyé : le message que {provider} prend par jour est épuisé ; le compte repart {when}.",
        "Ce texto n'a pas été envoyé : les {n} messages que {provider} prend par jour sont épuisés ; le compte repart "
        "{when}.",
    ),
    _S.RATION_NEARLY_USED_UP: "Le compte {provider} a envoyé {used} messages sur {limit} aujourd'hui ; le compte "
    "repart {when}.",
    _S.LOOP_UNTIL: "Ce texto n'a pas été envoyé : on dirait deux machines qui se répondent. Les textos vers ce "
    "numéro reprendront {when}.",
    _S.LOOP_STOPPED: "Les textos de {did} à {peer} sont arrêtés pour 10 minutes : {owner} semble avoir là une "
    "machine qui répond à une autre. Ce qui est écrit entre-temps est refusé, avec la raison.",
}

_PRESENCE: Final[Entries] = {
    _S.OUTLOOK_HELD: "{why} Ce que vous écrivez attend.",
    _S.OUTLOOK_SILENT: "L'opérateur est injoignable. Ce que vous écrivez attend.",
    _S.OUTLOOK_ACCOUNT: "L'opérateur n'accepte pas le compte de cette passerelle. Ce que vous écrivez attend "
    "que ce soit réparé.",
    _S.OUTLOOK_HELD_BACK: "Rien ne part avant qu'un administrateur ne l'ait permis. Ce que vous écrivez attend.",
    _S.OUTLOOK_SPENT: "Ce que vous écrivez est refusé pour le moment : {limit} est épuisée.",
    _S.OUTLOOK_RATION_SPENT: Plural(
        "Ce que vous écrivez est refusé jusqu'à demain : le message que {provider} prend par jour est épuisé.",
        "Ce que vous écrivez est refusé jusqu'à demain : les {n} messages que {provider} prend par jour sont épuisés.",
    ),
    _S.OUTLOOK_STOPPED: "Ce numéro a répondu {word} : il ne veut plus de textos.",
    _S.TYPE_A_NUMBER: "Tapez un numéro de téléphone, avec l'indicatif du pays hors des États-Unis et du Canada.",
    _S.PHONE_NUMBER: "Numéro de téléphone",
    _S.NO_PHONE_NUMBER: "Ce n'est pas un numéro auquel on peut envoyer des textos.",
    _S.NO_TEXT_YET: "Il n'y a pas encore eu de texto entre vous et ce numéro.",
}

_ENTRIES: Final[Entries] = {
    **_REASONS,
    **_TEXTS,
    **_ENCLOSED,
    **_QUESTIONS,
    **_PRESENCE,
    **FOR_ADMINS,
    **_SPANS,
    **_FILES,
    **_LIMITS,
    **OF_CARRIERS,
}

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
