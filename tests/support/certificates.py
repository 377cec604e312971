# SPDX-License-Identifier: MIT
"""Certificates for a test: an authority of its own, and what it signs. TLS of real servers: RedisServer.speak_tls."""
import datetime
import ipaddress
import os
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.accepting import accept_all


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def write_key(path, key, password=None):
    guard = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    with open(path, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, guard))
    os.chmod(path, 0o600)


class Authority:
    """`certificate` is the path of its own one. `issue` signs others."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name, self.key = str(folder), name, new_key()
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = os.path.join(self.folder, f"{name}.crt")
        self.sign(self.certificate, self.subject, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
        self.client = self.issue("client", ())

    def sign(self, path, subject, public_key, extension, days=(-1, 1)):
        now = datetime.datetime.utcnow()
        built = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(public_key)
                 .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days[0]))
                 .not_valid_after(now + datetime.timedelta(days[1])))
        if extension:
            built = built.add_extension(extension, critical=False)
        with open(path, "wb") as file:
            file.write(built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name, hosts=("localhost", "127.0.0.1"), days=(-1, 1)):
        """The paths of a certificate for these hosts and of its key; its common name is a host, which has to count for nothing."""
        base, key = os.path.join(self.folder, f"{self.name}-{name}"), new_key()
        names = [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        self.sign(base + ".crt", subject, key.public_key(), x509.SubjectAlternativeName(names) if names else None, days)
        write_key(base + ".key", key)
        return base + ".crt", base + ".key"


class TlsProxy:
    """Between the service and a plain Redis: speaks TLS as `context` says. Notes the names that clients ask for (`names`) and
    how each connection ended (`ends`: "clean", or the error)."""

    def __init__(self, port_behind, certificate, **context):
        self.names, self.ends, self.behind = [], [], port_behind
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        for name, value in context.items():
            setattr(self.context, name, value)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def __enter__(self):
        accept_all(self.listening, self.serve)
        return self

    def __exit__(self, *_):
        self.listening.close()

    def serve(self, client):
        try:
            secure = self.context.wrap_socket(client, server_side=True, suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError) as fault:
            self.ends.append(str(fault))
            client.close()
            return
        redis = socket.create_connection(("127.0.0.1", self.behind))
        threading.Thread(target=self.answer, args=(redis, secure), daemon=True).start()
        try:
            while data := secure.recv(65536):
                redis.sendall(data)
            self.ends.append("clean")
        except (OSError, ssl.SSLError) as fault:
            self.ends.append(str(fault))
        redis.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def answer(redis, secure):
        try:
            while data := redis.recv(65536):
                secure.sendall(data)
        except (OSError, ssl.SSLError):
            pass
        finally:
            redis.close()
            secure.close()
