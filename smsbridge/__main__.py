"""The program: `smsbridge`, and `python -m smsbridge`.

Libraries of ours load two more where they find them, to colour what we never print: five megabytes for nothing.
"""

import sys

_UNWANTED = ("rich", "pygments")


def main() -> int:
    """The command line; its exit code."""
    for name in _UNWANTED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None: it cannot be imported
    from smsbridge import cli  # noqa: PLC0415 - only now

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
