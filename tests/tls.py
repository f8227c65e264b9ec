"""A certificate of our own, and what servers and clients are told of it: Debian's redis-server can do TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

KIND = "redis7"


class Certificate:
    """A certificate for loopback, that is its own authority."""

    def __init__(self, folder: Path) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("openssl: none found")
        self.file, key = folder / "certificate.pem", folder / "key.pem"
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        named = ["-subj", "/CN=lash-redis", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = [openssl, "req", "-x509", *kind, *named, "-out", str(self.file), "-keyout", str(key)]
        subprocess.run(command, check=True, capture_output=True)
        self.settings = {
            "tls_cert_file": str(self.file),
            "tls_key_file": str(key),
            "tls_ca_cert_file": str(self.file),
            "tls_auth_clients": "no",
            "tls_replication": "yes",
        }
        self.query = f"?ssl_ca_certs={self.file}"
