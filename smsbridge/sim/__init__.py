"""The carrier in a box, a throw-away Prosody and the demo's play."""
