"""Debian's nginx with the files of ``examples/deploy``, on ports of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import requests

from tests.live_server import ROOT
from tests.waiting import wait_until

EXAMPLES = ROOT / "examples" / "deploy"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

_MAIN = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def make_certificate(folder: Path) -> None:
    """Make a certificate that signs itself, for the names of the examples and for this machine."""
    names = "subjectAltName=DNS:flows.example.org,DNS:www.example.org,IP:127.0.0.1"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=flows.example.org",
            "-addext",
            names,
            "-keyout",
            "privkey.pem",
            "-out",
            "fullchain.pem",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )


class Nginx:
    """One nginx in front of one server; ``url`` is its HTTPS address, ``plain`` its HTTP one."""

    def __init__(self, folder: Path, site: str, server: str, certificates: Path) -> None:
        self.certificate = str(certificates / "fullchain.pem")
        # Its workers must reach the folder, which is that of whoever runs the tests.
        user = "user root;" if os.geteuid() == 0 else ""
        for _ in range(5):
            ports = _free_ports(2)
            self.url, self.plain = (
                f"{kind}://127.0.0.1:{port}" for kind, port in zip(("https", "http"), ports, strict=True)
            )
            text = (EXAMPLES / site).read_text()
            for there, here in (
                ("server 127.0.0.1:7860;", f"server {server.removeprefix('http://')};"),
                ("listen 443 ssl", f"listen 127.0.0.1:{ports[0]} ssl"),
                ("listen 80;", f"listen 127.0.0.1:{ports[1]};"),
                ("/etc/flowrunner/tls/", f"{certificates}/"),
                ("include snippets/flowrunner.conf;", f"include {EXAMPLES}/nginx-proxy.conf;"),
            ):
                text = text.replace(there, here)
            lines = [line for line in text.splitlines() if "listen [::]" not in line]
            (folder / "site.conf").write_text("\n".join(lines))
            (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=user))
            self.log = folder / "nginx.log"
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")], stdout=log, stderr=log
                )
            assert wait_until(lambda: self._answers() or self._process.poll() is not None, 60), "nginx does not answer"
            if self._process.poll() is None:
                return
            # Somebody else took the port in between.
            assert "Address already in use" in self.log.read_text(), self.log.read_text()
        raise AssertionError("no port is free")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _answers(self) -> bool:
        try:
            return requests.get(self.url, verify=self.certificate, timeout=5).status_code > 0
        except requests.ConnectionError:
            return False


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
