"""What phrases say, for tests that look at the words."""

from smsbridge.core.errors import Reason
from smsbridge.core.words.say import Language
from smsbridge.core.words.wording import worded


def english(words):
    return worded(words, Language.ENGLISH)


def french(words):
    return worded(words, Language.FRENCH)


def because(reason):
    """The sentence of a reason, named by its value."""
    return english(Reason(reason).words)
