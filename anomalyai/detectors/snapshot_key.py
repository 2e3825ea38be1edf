"""A secret that signs snapshots which hold a pickle, so that only one's own are ever unpickled."""

from __future__ import annotations

import hashlib
import hmac

from anomalyai.errors import ParameterError

LEAST_KEY_BYTES = 16


class SnapshotKey:
    """A secret for signing; never shown.

    Parameters
    ----------
    secret
        At least 16 bytes, kept by whoever runs the program; not in a snapshot.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_KEY_BYTES:
            raise ParameterError(
                f"expected a secret of at least {LEAST_KEY_BYTES} bytes, got {len(secret)}",
                field="secret",
                hint="Take it from secrets.token_bytes(32)",
            )
        self._secret = bytes(secret)

    def __repr__(self) -> str:
        """Show nothing of the secret."""
        return "SnapshotKey(...)"

    def sign(self, data: bytes) -> bytes:
        """Return the HMAC-SHA256 of the data."""
        return hmac.digest(self._secret, data, hashlib.sha256)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Return whether `sign` made this signature of the data."""
        return hmac.compare_digest(self.sign(data), signature)
