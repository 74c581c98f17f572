"""The catalogue in French: what admins are told. Plain blanks and apostrophes, as in `french`."""

from typing import Final

from smsbridge.core.words.say import Plural, Say
from smsbridge.core.words.tongue import Entries

_S = Say

FOR_ADMINS: Final[Entries] = {
    _S.ALERT_ACCOUNT: "Un opérateur n'accepte pas un compte tel qu'il est configuré.",
    _S.ADVICE_ACCOUNT: "Corrigez-le dans le portail de l'opérateur ou dans la configuration, puis rechargez.",
    _S.ALERT_BALANCE: "Le solde d'un compte est bas.",
    _S.ADVICE_BALANCE: "Ajoutez des fonds dans le portail de l'opérateur : sans eux, rien n'est envoyé.",
    _S.ALERT_BOUNCE: "Le serveur XMPP a renvoyé un texto.",
    _S.ADVICE_BOUNCE: "Voyez si le compte existe, et si son serveur est joignable et garde les messages ; "
    "ou si son propriétaire a bloqué ce numéro.",
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
    _S.RESTORED: "La passerelle a été restaurée {backup}. Rien ne part avant qu'un administrateur l'ait examinée : "
    "{parts} Celles que l'opérateur donne pour envoyées sont marquées comme telles en quelques minutes, s'il a une "
    "liste. Les autres, smsbridge release --send les envoie (ce qui était parti malgré tout arrive deux fois), "
    "smsbridge release --discard les rend à leurs auteurs. {doubtful} {stanzas} Les textos d'après la sauvegarde "
    "qu'un opérateur répète sont montrés une fois de plus, eux aussi.",
    _S.BACKUP: "à partir d'une sauvegarde",
    _S.BACKUP_OF: "à partir d'une sauvegarde du {at:stamp}",
    _S.PARTS_WAITED: Plural(
        "{n} partie de texto attendait alors, et est peut-être partie depuis.",
        "{n} parties de textos attendaient alors, et sont peut-être parties depuis.",
        "aucune partie de texto n'attendait alors.",
    ),
    _S.SENDS_LOOKED_INTO: Plural(
        "{n} envoi au sort inconnu est examiné.",
        "{n} envois au sort inconnu sont examinés.",
        "Aucun envoi n'est de sort inconnu.",
    ),
    _S.STANZAS_HANDED: Plural(
        "{n} stanza est remise maintenant, peut-être pour la deuxième fois, avec l'identifiant qu'elle avait.",
        "{n} stanzas sont remises maintenant, peut-être pour la deuxième fois, avec les identifiants qu'elles avaient.",
        "Aucune stanza n'est à remettre.",
    ),
    _S.LIST_DISTRUSTED: "Le compte {provider} ne liste pas un texto qu'il a certainement envoyé : tant qu'il ne le "
    "fait pas, on n'y cherche pas les textos au sort inconnu.",
    _S.LIST_TRUSTED: "Le compte {provider} liste de nouveau ce qu'il a envoyé ; on y cherche les textos au sort "
    "inconnu.",
    _S.LIST_READ: "La liste des textos de {provider} est de nouveau lisible.",
    _S.LIST_FAILING: "La liste des textos de {provider} est illisible depuis une heure : un texto dont le webhook se "
    "perd ne serait pas retrouvé.",
    _S.WEBHOOKS_MISSING: "Les webhooks n'arrivent pas : la liste de {provider} montre des textos qu'il n'avait pas "
    "annoncés de lui-même ({n} jusqu'ici). Ils sont remis, avec quelques minutes de retard.",
    _S.WEBHOOKS_ARRIVING: "Les webhooks de {provider} arrivent de nouveau.",
    _S.CANNOT_BE_SHOWN: "Un texto est arrivé pour {recipient} qui ne peut pas être montré comme message ({why}). Il "
    "est gardé sous {delivery}.",
    _S.CAME_BACK: "Un texto pour {recipient} est revenu du serveur XMPP ({condition}). Il est gardé, et n'est plus "
    "tenté.",
    _S.TEXT_TO_NOBODY: "Un texto de {sender} est arrivé pour {did}, qu'aucune ligne de la configuration n'a chez "
    "{provider}. Il dit :{content:\n}",
    _S.ACCOUNT: "Compte {name} : {findings:; }.",
    _S.CHECK_LOGIN_WORKS: "l'accès fonctionne ; {carrier} voit cette machine comme {address}",
    _S.CHECK_UNTOLD_ADDRESS: "une adresse qu'il ne dit pas",
    _S.CHECK_ENTER_ADDRESS: "entrez {address} comme adresse autorisée dans le portail ({portal})",
    _S.CHECK_LOGIN_REFUSED: "{carrier} refuse l'accès : prenez l'adresse électronique du compte et le mot de passe "
    "d'API du portail ({portal} ; pas le mot de passe du portail lui-même ; un mot de passe de plus de 32 caractères "
    "peut être refusé bien que le portail l'ait pris)",
    _S.CHECK_API_OFF: "l'API est désactivée : activez-la dans le portail ({portal})",
    _S.CHECK_EMPTY_CALL: "l'appel est arrivé vide : y a-t-il une redirection ou un mandataire devant api_url ?",
    _S.CHECK_NO_ANSWER: "{carrier} n'a pas donné de réponse utilisable ({code}) : {why}",
    _S.CHECK_LOOK_AT_NETWORK: "vérifiez le service de noms, le pare-feu et l'horloge de cette machine",
    _S.CHECK_IT_IS_SLOW: "il est parfois lent ; réessayez dans quelques minutes",
    _S.CHECK_LOOK_AT_URL: "vérifiez api_url, ou réessayez dans quelques minutes",
    _S.CHECK_ANSWERED: "{carrier} a répondu {code}",
    _S.CHECK_ANSWERED_SO: "{carrier} a répondu {code} : {meaning}",
    _S.CHECK_UNTOLD_BALANCE: "{carrier} n'a pas dit le solde",
    _S.CHECK_LOW_BALANCE: "le solde est bas : {amount:money} {currency}",
    _S.CHECK_BALANCE: "le solde est de {amount:money} {currency}",
    _S.CHECK_NO_NUMBERS: "le compte n'a pas de numéros",
    _S.CHECK_NUMBERS: Plural("le compte a {n} numéro", "le compte a {n} numéros"),
    _S.CHECK_NUMBER_MISSING: "le numéro {did} de la configuration n'est pas dans ce compte : cherchez une faute de "
    "frappe",
    _S.CHECK_CANNOT_TEXT: "le numéro {did} ne peut pas du tout envoyer de textos",
    _S.CHECK_SMS_OFF: "les SMS sont désactivés pour le numéro {did} : activez-les dans le portail, DID settings",
    _S.FILE_TO_NOBODY: "Avec un texto de {peer} pour {did}, que personne n'a, est venu un fichier : {file}",
}
