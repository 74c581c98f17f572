"""Pictures that are no more than what tells their kind."""

PNG = b"\x89PNG\r\n\x1a\n" + b"pretended" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"pretended" * 20
