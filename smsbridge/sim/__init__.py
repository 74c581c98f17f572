"""The carrier in a box, throw-away XMPP servers and the demo's play."""
