"""What can go wrong in a run, as one line on stderr and an exit code: 1 failed, 2 wrong usage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from anomalyai.client import ClientError, Refused
from simulators.json_values import FileError
from simulators.replay import NoEventTime

__all__ = ["named_failures"]


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn the errors of sending, reading and writing into click's."""
    try:
        yield
    except Refused as error:
        where = f" (at {error.field})" if error.field and error.field not in str(error) else ""
        raise click.ClickException(f"{error}{where}") from error
    except (ClientError, FileError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'file'}: {error.strerror or error}") from error
    except NoEventTime as error:
        raise click.UsageError(str(error)) from error
