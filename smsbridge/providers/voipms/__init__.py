"""VoIP.ms: numbers in the US and Canada, texted by one REST endpoint, heard by a webhook or a URL callback.

api.py        the account's settings, and one call of the endpoint
statuses.py   what the carrier's status codes mean
webhook.py    what it tells us when a text comes in
listing.py    what it lists as carried, both ways
reports.py    how what was sent fared, told from that list
tracing.py    what became of a text, told from that list
loose.py      what it writes loosely, read once
account.py    whether the account is set up to work
provider.py   the provider that the bridge knows
"""

from smsbridge.providers.voipms.provider import KIND

__all__ = ["KIND"]
