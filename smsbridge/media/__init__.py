"""Bytes from outside: fetching and publishing attachments."""
