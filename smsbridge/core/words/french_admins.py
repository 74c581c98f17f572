"""The catalogue in French: what admins are told. Plain blanks and apostrophes, as in `french`."""

from typing import Final

from smsbridge.core.words.say import Plural
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.tongue import Entries

_T = Tell

FOR_ADMINS: Final[Entries] = {
    _T.ALERT_ACCOUNT: "Un opérateur n'accepte pas un compte tel qu'il est configuré.",
    _T.ADVICE_ACCOUNT: "Corrigez-le dans le portail de l'opérateur ou dans la configuration, puis rechargez.",
    _T.ALERT_BALANCE: "Le solde d'un compte est bas.",
    _T.ADVICE_BALANCE: "Ajoutez des fonds dans le portail de l'opérateur : sans eux, rien n'est envoyé.",
    _T.ALERT_BOUNCE: "Le serveur XMPP a renvoyé un texto.",
    _T.ADVICE_BOUNCE: "Voyez si le compte existe, et si son serveur est joignable et garde les messages ; "
    "ou si son propriétaire a bloqué ce numéro.",
    _T.ALERT_CAP: "Un plafond est presque atteint.",
    _T.ADVICE_CAP: "Si c'est normal, relevez-le sous caps et rechargez.",
    _T.ALERT_CLOCK: "L'horloge de cette machine est fausse.",
    _T.ADVICE_CLOCK: "Réglez-la, et faites-la tenir à l'heure (timedatectl set-ntp true) : les heures et les limites "
    "quotidiennes en dépendent.",
    _T.ALERT_DISK: "Le disque de la base de données est presque plein.",
    _T.ADVICE_DISK: "Faites de la place. D'ici là, les nouveaux textos sont refusés ; les opérateurs représentent "
    "les leurs, mais pas indéfiniment.",
    _T.ALERT_HELD: "Un opérateur ne prend aucun texto d'un compte ou d'un numéro.",
    _T.ADVICE_HELD: "Regardez dans le portail de l'opérateur. Un texto à la fois essaie si c'est réparé.",
    _T.ALERT_LISTS: "La liste d'un opérateur est illisible.",
    _T.ADVICE_LISTS: "Cherchez poll_failed dans le journal : ce qu'un webhook manque n'est pas retrouvé entre-temps.",
    _T.ALERT_LOOP: "On dirait deux machines qui se répondent.",
    _T.ADVICE_LOOP: "Cherchez une réponse automatique dans le client du propriétaire, et désactivez-la.",
    _T.ALERT_QUARANTINE: "Un texto n'a pas pu être affiché, et a été mis de côté.",
    _T.ADVICE_QUARANTINE: "Merci de le signaler : il est gardé, et rien d'autre ne l'attend.",
    _T.ALERT_RATION: "Les messages qu'un opérateur prend par jour sont presque épuisés.",
    _T.ADVICE_RATION: "Demandez-en davantage à l'opérateur s'il vous en faut, et réglez daily_limit.",
    _T.ALERT_RECONCILE: "Impossible d'apprendre d'un opérateur ce qu'est devenu un envoi incertain.",
    _T.ADVICE_RECONCILE: "Regardez la liste dans son portail. Les textos incertains ne sont pas renvoyés ; leurs "
    "auteurs en sont informés.",
    _T.ALERT_STREAM: "Il n'y a pas de flux vers le serveur XMPP.",
    _T.ADVICE_STREAM: "Vérifiez qu'il tourne et connaît le composant. Ce qui arrive entre-temps est gardé.",
    _T.ALERT_UNSTEADY: "Le flux vers le serveur XMPP ne cesse de se rompre.",
    _T.ADVICE_UNSTEADY: "Cherchez stream_lost dans le journal, un second smsbridge, les limites du serveur pour les "
    "composants.",
    _T.ALERT_WAITING: "Quelque chose attend depuis trop longtemps.",
    _T.ADVICE_WAITING: "delivery : le serveur XMPP ne le prend pas ; outbox : c'est l'opérateur. Le journal dit "
    "pourquoi.",
    _T.ALERT_WEBHOOKS: "Les webhooks d'un opérateur n'arrivent pas.",
    _T.ADVICE_WEBHOOKS: "Vérifiez l'URL dans son portail, le mandataire inverse et la clé.",
    _T.ADVISED: "{words} {to_do}",
    _T.ALL_ARE_OVER: "Tous sont terminés.",
    _T.SOME_ARE_OVER: Plural("{n} est terminé.", "{n} sont terminés."),
    _T.WHAT_AND_ENDED: "{what} {ended}",
    _T.OF_A_KIND: "{count} du même genre : {what} Le dernier : {last}",
    _T.STILL_SO: Plural(
        "Toujours ainsi après {span}, et {n} autre du même genre : {words}",
        "Toujours ainsi après {span}, et {n} autres du même genre : {words}",
        "Toujours ainsi après {span} : {words}",
    ),
    _T.IT_LASTED: Plural("{words} Cela a duré {span}.", "{words} Cela a duré {span}, {n} fois."),
    _T.OVER_AFTER: Plural("Terminé après {span} : {words}", "Terminé après {span}, {n} fois : {words}"),
    _T.SENDS_AGAIN: "Le compte {provider} envoie de nouveau ; ce qui attendait part ({holds} : terminé).",
    _T.HELD_ACCOUNT: "Le compte {provider} est en attente, ses textos patientent ({code}) : {words}",
    _T.HELD_LINE: "La ligne {did} est en attente, ses textos patientent ({code}) : {words}",
    _T.HELD_ENDS: "Il n'y a rien à faire : ils partent quand c'est terminé.",
    _T.STREAM_DOWN: "Il n'y a pas de flux vers le serveur XMPP depuis {since:clock}.",
    _T.STREAM_UNSTEADY: Plural(
        "Le flux vers le serveur XMPP a été ouvert {n} fois en 15 minutes.",
        "Le flux vers le serveur XMPP a été ouvert {n} fois en 15 minutes.",
    ),
    _T.CARRIER_WAITED_FOR: "Un texto attend l'opérateur depuis {span}.",
    _T.SERVER_WAITED_FOR: "Un message attend le serveur XMPP depuis {span}.",
    _T.CLOCK_SAYS: "L'horloge de cette machine indique {at:isodate}, qui est passé depuis longtemps.",
    _T.DISK_SHORT: "Il reste {mib} Mio sur le disque ; les nouveaux textos sont pris à partir de {floor} Mio.",
    _T.RESTORED: "La passerelle a été restaurée {backup}. Rien ne part avant qu'un administrateur l'ait examinée : "
    "{parts} Celles que l'opérateur donne pour envoyées sont marquées comme telles en quelques minutes, s'il a une "
    "liste. Les autres, smsbridge release --send les envoie (ce qui était parti malgré tout arrive deux fois), "
    "smsbridge release --discard les rend à leurs auteurs. {doubtful} {stanzas} Les textos d'après la sauvegarde "
    "qu'un opérateur répète sont montrés une fois de plus, eux aussi.",
    _T.BACKUP: "à partir d'une sauvegarde",
    _T.BACKUP_OF: "à partir d'une sauvegarde du {at:stamp}",
    _T.PARTS_WAITED: Plural(
        "{n} partie de texto attendait alors, et est peut-être partie depuis.",
        "{n} parties de textos attendaient alors, et sont peut-être parties depuis.",
        "aucune partie de texto n'attendait alors.",
    ),
    _T.SENDS_LOOKED_INTO: Plural(
        "{n} envoi au sort inconnu est examiné.",
        "{n} envois au sort inconnu sont examinés.",
        "Aucun envoi n'est de sort inconnu.",
    ),
    _T.STANZAS_HANDED: Plural(
        "{n} stanza est remise maintenant, peut-être pour la deuxième fois, avec l'identifiant qu'elle avait.",
        "{n} stanzas sont remises maintenant, peut-être pour la deuxième fois, avec les identifiants qu'elles avaient.",
        "Aucune stanza n'est à remettre.",
    ),
    _T.LIST_DISTRUSTED: "Le compte {provider} ne liste pas un texto qu'il a certainement envoyé : tant qu'il ne le "
    "fait pas, on n'y cherche pas les textos au sort inconnu.",
    _T.LIST_TRUSTED: "Le compte {provider} liste de nouveau ce qu'il a envoyé ; on y cherche les textos au sort "
    "inconnu.",
    _T.LIST_READ: "La liste des textos de {provider} est de nouveau lisible.",
    _T.LIST_FAILING: "La liste des textos de {provider} est illisible depuis une heure : un texto dont le webhook se "
    "perd ne serait pas retrouvé.",
    _T.WEBHOOKS_MISSING: "Les webhooks n'arrivent pas : la liste de {provider} montre des textos qu'il n'avait pas "
    "annoncés de lui-même ({n} jusqu'ici). Ils sont remis, avec quelques minutes de retard.",
    _T.WEBHOOKS_ARRIVING: "Les webhooks de {provider} arrivent de nouveau.",
    _T.CANNOT_BE_SHOWN: "Un texto est arrivé pour {recipient} qui ne peut pas être montré comme message ({why}). Il "
    "est gardé sous {delivery}.",
    _T.CAME_BACK: "Un texto pour {recipient} est revenu du serveur XMPP ({condition}). Il est gardé, et n'est plus "
    "tenté.",
    _T.TEXT_TO_NOBODY: "Un texto de {sender} est arrivé pour {did}, qu'aucune ligne de la configuration n'a chez "
    "{provider}. Il dit :{content:\n}",
    _T.ACCOUNT: "Compte {name} : {findings:; }.",
    _T.CHECK_LOGIN_WORKS: "l'accès fonctionne ; {carrier} voit cette machine comme {address}",
    _T.CHECK_UNTOLD_ADDRESS: "une adresse qu'il ne dit pas",
    _T.CHECK_ENTER_ADDRESS: "entrez {address} comme adresse autorisée dans le portail ({portal})",
    _T.CHECK_LOGIN_REFUSED: "{carrier} refuse l'accès : prenez l'adresse électronique du compte et le mot de passe "
    "d'API du portail ({portal} ; pas le mot de passe du portail lui-même ; un mot de passe de plus de 32 caractères "
    "peut être refusé bien que le portail l'ait pris)",
    _T.CHECK_API_OFF: "l'API est désactivée : activez-la dans le portail ({portal})",
    _T.CHECK_EMPTY_CALL: "l'appel est arrivé vide : y a-t-il une redirection ou un mandataire devant api_url ?",
    _T.CHECK_NO_ANSWER: "{carrier} n'a pas donné de réponse utilisable ({code}) : {why}",
    _T.CHECK_LOOK_AT_NETWORK: "vérifiez le service de noms, le pare-feu et l'horloge de cette machine",
    _T.CHECK_IT_IS_SLOW: "il est parfois lent ; réessayez dans quelques minutes",
    _T.CHECK_LOOK_AT_URL: "vérifiez api_url, ou réessayez dans quelques minutes",
    _T.CHECK_ANSWERED: "{carrier} a répondu {code}",
    _T.CHECK_ANSWERED_SO: "{carrier} a répondu {code} : {meaning}",
    _T.CHECK_UNTOLD_BALANCE: "{carrier} n'a pas dit le solde",
    _T.CHECK_LOW_BALANCE: "le solde est bas : {amount:money} {currency}",
    _T.CHECK_BALANCE: "le solde est de {amount:money} {currency}",
    _T.CHECK_NO_NUMBERS: "le compte n'a pas de numéros",
    _T.CHECK_NUMBERS: Plural("le compte a {n} numéro", "le compte a {n} numéros"),
    _T.CHECK_NUMBER_MISSING: "le numéro {did} de la configuration n'est pas dans ce compte : cherchez une faute de "
    "frappe",
    _T.CHECK_CANNOT_TEXT: "le numéro {did} ne peut pas du tout envoyer de textos",
    _T.CHECK_SMS_OFF: "les SMS sont désactivés pour le numéro {did} : activez-les dans le portail, DID settings",
    _T.FILE_TO_NOBODY: "Avec un texto de {peer} pour {did}, que personne n'a, est venu un fichier : {file}",
}
