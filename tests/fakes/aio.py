"""aioresponses' answers in a form that today's aiohttp accepts: pass `response_class=Answered`."""

from typing import Any
from unittest.mock import Mock

import aiohttp


class Answered(aiohttp.ClientResponse):
    """COMPAT(aioresponses 0.7.9, aiohttp 3.14): it does not fill in `stream_writer`, which is required."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)
