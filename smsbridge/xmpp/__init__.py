"""The XMPP side: the only package that knows slixmpp."""
