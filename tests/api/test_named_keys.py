# SPDX-License-Identifier: MIT
"""Named keys of a site: each opens it, beside secret_key; they come and go with a reload; `engaged key` makes one."""
import hashlib
import subprocess

import pytest

from support.program import PROGRAM
from support.wait import wait_until


def sha256(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def status(service, site, key):
    return service.request("PUT", f"/v1/{site}/items/a", {"title": "t"}, Authorization=f"Bearer {key}").status


@pytest.mark.contract("Secret key", "A site may have more keys")
def test_each_named_key_opens_its_site_beside_the_secret_key(own):
    service = own(configuration=f"[site alpha]\nkey.one = first\nkey.two = {sha256('second').upper().replace('SHA', 'sha')}\n"
                                f"[site beta]\nsecret_key = betas\nkey.one = first\n[site gamma]\nkey.two = other\n")
    opens = {"alpha": {"k", "first", "second"}, "beta": {"betas", "first"}, "gamma": {"k", "other"}, "delta": {"k"}}
    for site, keys in opens.items():
        for key in ("k", "first", "second", "betas", "other", sha256("second"), sha256("second")[7:], "one", "", "firs", "firstt"):
            assert status(service, site, key) == (200 if key in keys else 401 if not key else 403), (site, key)


def test_keys_are_added_and_taken_out_by_a_reload(own, tmp_path):
    path = tmp_path / "engaged.conf"
    path.write_text("[site s]\nkey.old = before\n")
    service = own(config=str(path), workers=2)
    assert (status(service, "s", "before"), status(service, "s", "after")) == (200, 403)
    path.write_text(f"[site s]\nkey.new = {sha256('after')}\n")
    service.process.send_signal(1)
    wait_until(lambda: [status(service, "s", "after") for _ in range(8)] == [200] * 8 and
               [status(service, "s", "before") for _ in range(8)] == [403] * 8, 60, service.log)


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_made_key_has_its_line_and_opens_the_site(own):
    code, said, _ = run("key", "newsroom")
    lines = said.splitlines()
    assert code == 0 and len(lines) == 4 and len(lines[1]) == 64 and lines[3] == f"key.newsroom = {sha256(lines[1])}", said
    assert run("key", "newsroom")[1] != said
    service = own(configuration=f"[site s]\n{lines[3]}\n")
    assert status(service, "s", lines[1]) == 200
    for wrong in ([], ["a", "b"], ["secret_key"], ["a b"], ["a" * 32], [".a"], [""]):
        code, said, error = run("key", *wrong)
        assert (code, said) == (1, "") and error.startswith("engaged: key: "), (wrong, said, error)


def test_a_hash_that_lacks_its_prefix_is_warned_of(own, tmp_path):
    """It is taken as the key itself."""
    path, digest = tmp_path / "engaged.conf", hashlib.sha256(b"k").hexdigest()
    path.write_text(f"secret_key = {digest}\n[site a]\nkey.one = {digest[::-1].upper()}\nkey.two = sha256:{digest[1:]}0\nkey.three = {digest}0\n"
                    f"[site b]\nsecret_key = {digest[:62]}00\n")
    code, said, error = run("check", "--config", str(path))
    assert code == 0 and digest not in said + error
    assert [line.partition(": 64 hex digits without sha256: are taken as the key itself")[0] for line in error.splitlines()] == [
        f"engaged: warning: {where}" for where in ("secret_key", "[site a] key.one", "[site b] secret_key")], error
    service = own(config=str(path))
    for where in ("[site a] key.one", "[site b] secret_key"):
        assert service.log().count(f"warn: {where}: 64 hex digits") == 1, service.log()
    assert "warn: secret_key" not in service.log(), "the command line has another one"
    assert digest not in service.log()
    path.write_text("secret_key = k\n")
    (tmp_path / "key").write_text(digest)
    (tmp_path / "key").chmod(0o600)
    path.write_text(f"secret_key_file = {tmp_path}/key\n")
    assert run("check", "--config", str(path))[2] == "", "a file holds what openssl rand -hex 32 has made"


def test_check_names_the_keys_and_shows_none(tmp_path):
    path = tmp_path / "engaged.conf"
    path.write_text("secret_key = general\n[site a]\nkey.one = first\nkey.two = second\n[site b]\nsecret_key = bs\n[site c]\nkey.one = first\n")
    options = ["--config", str(path), "--redis", f"embedded:{tmp_path}/data"]
    code, said, error = run("check", *options)
    assert code == 0 and said.startswith("Keys of a: secret_key, one, two.\nKeys of c: secret_key, one.\n"), (said, error)
    shown = run("--print-config", *options)[1]
    assert "[site a]\nkey.one = (set)\nkey.two = (set)\n" in shown and "first" not in shown + said, shown
    path.write_text("[site a]\nkey.one = first\n")
    assert run("check", *options)[1].startswith("Keys of a: one.\n")
