# SPDX-License-Identifier: Apache-2.0
"""What the tests with foreign gRPC clients share: test/fake_server, and certificates.

    with fake.Server() as s:            plain
        s.address, s.order("finish")
    with fake.Server(certs, mutual=True) as s:
"""
import json
import os
import shutil
import subprocess

import tap

PROGRAM = os.path.join(os.environ["WEFT_BUILD"], "test", "fake_server")
SECONDS_MAX = 60


class Server(subprocess.Popen):
    def __init__(self, certs=None, mutual=False):
        command = [PROGRAM]
        if certs:
            command += ["--cert", certs.file("server.pem"), "--key", certs.file("server.key")]
        if mutual:
            command += ["--ca", certs.file("ca.pem")]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.stdout.readline().strip()
        if not self.address:
            raise AssertionError("fake_server did not start")

    def order(self, text):
        self.stdin.write(text + "\n")
        self.stdin.flush()
        return self.stdout.readline().strip()

    def status(self):
        return json.loads(self.order("status"))

    def __exit__(self, *exc):
        self.stdin.close()
        try:
            tap.equal(self.wait(SECONDS_MAX), 0, "how the server ended")
        finally:
            self.kill()
            self.stdout.close()


class Certificates:
    """An authority with certificates for a server and a client, in a folder, made by openssl."""

    def __init__(self, folder):
        if not shutil.which("openssl"):
            raise tap.Skip("there is no openssl")
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.openssl("req", "-x509", *self.key("ca"), "-out", "ca.pem", "-subj", "/CN=an authority")
        self.sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.sign("client", "extendedKeyUsage=clientAuth")

    def file(self, name):
        return os.path.join(self.folder, name)

    def bytes(self, name):
        with open(self.file(name), "rb") as f:
            return f.read()

    def key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-keyout", f"{name}.key")

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stderr)

    def sign(self, name, extension):
        """(Again) a key and a certificate of the authority."""
        self.openssl("req", "-x509", *self.key(name), "-CA", "ca.pem", "-CAkey", "ca.key", "-out",
                     f"{name}.pem", "-subj", f"/CN={name}", "-addext", extension, "-addext",
                     "basicConstraints=critical,CA:FALSE")
