"""`python -m app`, and what the command `app` starts: an answer should come at once, and here is where it could not."""

import gc
import os
import sys


def main() -> int:
    """Run the command line.

    Returns:
        The exit status, see `app.cli.main`.
    """
    gc.disable()  # thousands of objects are made and all are needed; the command line turns it on before it runs a job
    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "__all__"
    )  # it would look through all installed packages for some
    from app import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
