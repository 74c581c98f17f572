"""The catalogue in French: what a carrier said. Plain blanks and apostrophes, as in `french`."""

from typing import Final

from smsbridge.core.words.say import Plural, Say
from smsbridge.core.words.tongue import Entries

_S = Say

OF_CARRIERS: Final[Entries] = {
    _S.CARRIER_LOGIN: "{carrier} refuse l'accès à cette passerelle ; son administrateur doit y remédier.",
    _S.CARRIER_OUTDATED: "{carrier} ne comprend pas cette passerelle ; son administrateur doit s'en occuper.",
    _S.CARRIER_LINE_OFF: "D'après {carrier}, cette ligne ne peut pas envoyer de textos : le numéro n'est pas dans le "
    "compte, ou les SMS y sont désactivés.",
    _S.CARRIER_BUG: "{carrier} n'a pas compris le message ; c'est un défaut de cette passerelle.",
    _S.CARRIER_FILE: "{carrier} n'accepte pas cette pièce jointe.",
    _S.CARRIER_FILE_LARGE: "D'après {carrier}, cette pièce jointe est trop grande.",
    _S.CARRIER_API_OFF: "L'API de {carrier} est désactivée ; l'administrateur doit l'activer.",
    _S.CARRIER_ADDRESS: "{carrier} n'admet pas cette passerelle depuis son adresse ; l'administrateur doit "
    "l'autoriser.",
    _S.CARRIER_FUNDS: "Le solde chez {carrier} est trop bas pour envoyer.",
    _S.CARRIER_QUOTA: "Les messages du jour chez {carrier} sont épuisés.",
    _S.CARRIER_REGULATIONS: "{carrier} ne laisse pas cette ligne envoyer de textos, pour des raisons réglementaires.",
    _S.CARRIER_MINUTE_FULL: "{carrier} ne prend plus de messages cette minute.",
    _S.CARRIER_WANTS_A_MINUTE: "{carrier} exige une minute entre deux changements.",
    _S.CARRIER_MAINTENANCE: "{carrier} est fermé pour maintenance en ce moment.",
    _S.CARRIER_BEHIND_IT: "L'opérateur derrière {carrier} est hors service.",
    _S.CARRIER_UNAVAILABLE: "{carrier} n'est pas disponible en ce moment.",
    _S.CARRIER_CONNECTIONS: "{carrier} a des ennuis de connexion en ce moment.",
    _S.CARRIER_DESTINATION: "D'après {carrier}, ce numéro ne peut pas recevoir de textos.",
    _S.CARRIER_TOO_LONG: "D'après {carrier}, ce message est trop long.",
    _S.CARRIER_EMPTY: "{carrier} n'envoie pas de message vide.",
    _S.CARRIER_OF_PEER: "L'opérateur de votre correspondant n'a pas pris le message.",
    _S.CARRIER_DOWN: "L'opérateur est injoignable en ce moment.",
    _S.CARRIER_BUSY: "L'opérateur ne prend plus de messages en ce moment.",
    _S.CARRIER_FEWER_FILES: Plural(
        "{carrier} prend {n} pièce jointe à la fois.",
        "{carrier} prend {n} pièces jointes à la fois.",
    ),
    _S.CARRIER_MOVED: "L'adresse de l'opérateur a changé ; l'administrateur doit la corriger.",
    _S.CARRIER_REFUSES_US: "L'opérateur refuse cette passerelle ; son administrateur doit s'en occuper.",
}
