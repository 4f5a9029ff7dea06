"""The worker client to a service that speaks TLS, with certificates that openssl makes (`setup.sh` brings it)."""

import subprocess
from pathlib import Path

import grpc
from conftest import binary
from highwater.v1.types_pb2 import KIND_TTS
from support import PROJECT, Service, until

from highwater_worker import Worker

ATTACH_SECONDS = 10.0


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_pair(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that vouches for itself, and its key."""
    certificate, key = folder / "service.crt", folder / "service.key"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90"),
        *("-subj", "/CN=localhost", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-keyout", key, "-out", certificate),
    )
    return certificate, key


def test_a_worker_reports_over_tls_to_one_that_it_trusts(tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path)
    service = Service(binary(), tmp_path, settings=["--tls-certificate", str(certificate), "--tls-key", str(key)])
    service.tls = grpc.ssl_channel_credentials(certificate.read_bytes())
    service.start()
    try:
        worker = Worker(service.target, PROJECT, "tls", tls=service.tls)
        with worker.session(worker.meter(KIND_TTS, "cartesia/sonic-3")):
            assert worker.flush(ATTACH_SECONDS)
            until("the session counts", lambda: service.level(KIND_TTS, "cartesia/sonic-3") == 1)
        worker.close()
        # One that does not trust it, and one in plain text, never attach and never fail their caller.
        for other in (Worker(service.target, PROJECT, "a", tls=grpc.ssl_channel_credentials()), Worker(service.target)):
            other.connect(other.meter(KIND_TTS, "cartesia/sonic-3"))
            assert not other.flush(1.0)
            other.close(timeout=0.5)
    finally:
        service.kill()
