"""smsbridge: an XMPP component that turns phone numbers into contacts."""

__version__ = "0.1.0"
