# SPDX-License-Identifier: MIT
"""nginx and Varnish on a free port, with the configuration of a test, ended with the test."""
import contextlib
import os
import subprocess

from support.ports import free_port
from support.wait import wait_until


def ended(process):
    process.terminate()
    process.wait(10)


def answers(fetch, port):
    try:
        fetch(port, "/")
        return True
    except OSError as error:
        return hasattr(error, "code")  # an error of HTTP is an answer


@contextlib.contextmanager
def nginx_of(folder, configuration, is_up):
    """The text of a whole configuration, that of a file of deploy/ too: only where it runs and what it writes is the test's."""
    os.chmod(folder, 0o755)
    processes = "" if "worker_processes" in configuration else "worker_processes 1; "
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = configuration.replace("http {", f"http {{ {temporary} ", 1)
    with open(f"{folder}/conf", "w", encoding="utf-8") as file:
        file.write(f"daemon off; pid {folder}/pid; error_log {folder}/error warn; {processes}{user}\n{text}")
    with open(f"{folder}/said", "wb") as said:
        process = subprocess.Popen(["/usr/sbin/nginx", "-c", f"{folder}/conf", "-p", str(folder)], stderr=said)
    try:
        wait_until(lambda: process.poll() is not None or is_up(), 20, "nginx")
        assert process.poll() is None, open(f"{folder}/said", encoding="utf-8").read()
        yield process
    finally:
        ended(process)


@contextlib.contextmanager
def nginx(folder, http, server, fetch):
    """`http` and `server` are the directives of these two blocks. Yields the port."""
    port = free_port()
    text = f"""events {{}} http {{ access_log off; {http}
        server {{ listen 127.0.0.1:{port}; root {folder}; default_type text/html; {server} }} }}"""
    with nginx_of(folder, text, lambda: answers(fetch, port)):
        yield port


@contextlib.contextmanager
def varnish(folder, vcl, fetch):
    port = free_port()
    with open(f"{folder}/vcl", "w", encoding="utf-8") as file:
        file.write(vcl)
    process = subprocess.Popen(["/usr/sbin/varnishd", "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", f"{folder}/vcl",
                                "-n", f"{folder}/work", "-s", "malloc,16m"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(fetch, port), 30, "Varnish")
        yield port
    finally:
        ended(process)
