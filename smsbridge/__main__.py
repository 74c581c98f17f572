"""`python -m smsbridge` is `smsbridge`."""

import sys

from smsbridge.cli import main

sys.exit(main())
