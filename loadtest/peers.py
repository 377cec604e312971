# SPDX-License-Identifier: MIT
"""The targets of a load: the service, and its peers. Each has a port, `pids`, `load`, `settle` and `stop`.

To add a peer: a class here, and a line in PEERS.
"""
import os
import re
import shutil
import subprocess
import tempfile
import time

from bench import PROGRAMS, Redis, Result, drive_closed
from client import ROOT, Client
from own import OwnService, free_port, wait_until

KEYS = {"secret": "11" * 32, "hash_key": "22" * 32}
NODE_MODULES = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                            "engaged-loadtest/node_modules")
MODULES = "/usr/lib/nginx/modules"


class Missing(Exception):
    """A peer that is not installed."""


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(child) for child in file.read().split()]


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(part.split(b"=", 1) for part in file.read().split(b"\0") if b"=" in part)


class Engaged:
    """The service over a Redis of its own, rate limits off, one worker."""
    name = "engaged"
    flush_after = False

    def __init__(self, fsync="everysec", program=None, redis=None, **settings):
        self.redis = redis or Redis(fsync)
        try:
            self.service = OwnService(program=program, redis=self.redis.url, rate_limits="off", **KEYS, **settings)
            self.service.__enter__()
        except Exception:
            self.redis.stop()
            raise
        self.port, self.key = self.service.port, self.service.key

    def client(self):
        return Client(self.service.url, self.key)

    def pids(self):
        roles = {}
        for pid in children_of(self.service.process.pid):
            role = environment_of(pid).get(b"ENGAGED_ROLE", b"?").decode()
            roles[role if role not in roles else f"{role} {len(roles)}"] = pid
        return roles

    def load(self, seconds, connections, work):
        return drive_closed(self.port, seconds, connections, work)

    def metrics(self):
        return self.service.metrics()

    def lag(self, projection):
        """In seconds; programs of before show milliseconds."""
        metrics, label = self.metrics(), f'{{projection="{projection}"}}'
        before = metrics.get("engaged_projection_lag_milliseconds" + label)
        return metrics["engaged_projection_lag_seconds" + label] if before is None else before / 1000

    def wait_projected(self, projection, seconds=120):
        """Until all that was accepted before this call is projected."""
        began = time.monotonic()
        time.sleep(0.3)  # the projector looks every 250 ms
        wait_until(lambda: self.lag(projection) < time.monotonic() - began, seconds, pause=0.05)

    def settle(self):
        """Until all that was accepted is in the rankings; with `flush_after` also in the neighbours."""
        if self.flush_after:
            self.flush()
        self.wait_projected("sums")

    def flush(self):
        """The neighbours' projection need not wait for its interval. Views that count, so by visitors who are new each time."""
        now = time.monotonic_ns()
        self.client().lines("/v1/load/events?wait=true", [
            {"type": "view", "item": f"i{n}", "visitor": f"flush{now}-{n}"} for n in range(64)])
        self.wait_projected("neighbours")

    def stop(self):
        self.service.__exit__(None, None, None)
        self.redis.stop()


class Peer:
    """A program in the foreground, with its files in a temporary folder."""
    redis = None

    def __init__(self, fsync=None):
        self.folder, self.port = tempfile.mkdtemp(prefix="engaged-peer-"), free_port()
        os.chmod(self.folder, 0o755)
        self.redis = Redis(fsync) if fsync else None
        try:
            self.sha = self.redis.load_script() if self.redis else None
            self.process = self.start()
            wait_until(self.answers, 10)
        except Exception:
            self.stop()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
        try:
            Client(f"http://127.0.0.1:{self.port}").connection.connect()
            return True
        except OSError:
            return False

    def spawn(self, command, **more):
        with open(f"{self.folder}/said", "wb") as said:
            return subprocess.Popen(command, **{"stdout": said, "stderr": said, **more})

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return f"{self.folder}/{name}"

    def pids(self):
        return {self.name: self.process.pid}

    def load(self, seconds, connections, work):
        return drive_closed(self.port, seconds, connections, self.work(work))

    def work(self, work):
        return work

    def settle(self):
        pass

    def stop(self):
        process = getattr(self, "process", None)
        if process and process.poll() is None:
            process.terminate()
            process.wait(20)
        if self.redis:
            self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


NGINX = """load_module {modules}/ndk_http_module.so; load_module {modules}/ngx_http_lua_module.so;
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error warn;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=100;
    types {{ application/json json; }}
    server {{ listen 127.0.0.1:{port} backlog=4096; {server} }}
}}"""


class Nginx(Peer):
    def run(self, server):
        wanted = "ndk_http_module.so", "ngx_http_lua_module.so"
        if not shutil.which("nginx"):
            raise Missing("nginx")
        text = NGINX.format(modules=MODULES, folder=self.folder, port=self.port, server=server)
        if "lua" not in server:
            text = text.split("\n", 1)[1]
        elif not all(os.path.exists(f"{MODULES}/{name}") for name in wanted):
            raise Missing("libnginx-mod-http-lua")
        return self.spawn(["nginx", "-p", self.folder, "-c", self.write("conf", text)])


class NginxStatic(Nginx):
    """The same bytes from a file."""
    name = "nginx static"

    def __init__(self, reply):
        self.body = reply[reply.index(b"\r\n\r\n") + 4:]
        super().__init__()

    def start(self):
        self.write("list.json", self.body)
        return self.run(f"root {self.folder};")

    def work(self, work):
        return {**work, "TARGET": "/list.json"}


class Bare(Peer):
    """The same bytes, head included, from the least that libuv and llhttp can do (bare_responder.c)."""
    name = "bare responder"

    def __init__(self, reply):
        self.reply = reply
        super().__init__()

    def start(self):
        process = self.spawn([f"{PROGRAMS}/bare_responder", self.write("reply", self.reply)],
                             stdout=subprocess.PIPE, text=True)
        self.port = int(process.stdout.readline().split()[1])
        return process


class NginxLua(Nginx):
    name = "nginx+Lua"

    def start(self):
        if not os.path.exists("/usr/share/lua/5.1/nginx/redis.lua"):
            raise Missing("lua-nginx-redis")
        return self.run(f"""location ~ "^/v1/load/items/(?<item>[^/]+)/votes$" {{
            set $sha {self.sha}; set $redis {self.redis.socket};
            content_by_lua_file {ROOT}/loadtest/nginx_vote.lua; }}""")


class Webdis(Peer):
    name = "webdis"

    def start(self):
        if not shutil.which("webdis"):
            raise Missing("webdis")
        path = self.write("conf", f"""{{"redis_host": "{self.redis.socket}", "redis_port": 0, "http_host": "127.0.0.1",
            "http_port": {self.port}, "threads": 1, "pool_size": 20, "daemonize": false, "database": 0,
            "verbosity": 0, "logfile": "{self.folder}/log", "acl": []}}""")
        return self.spawn(["webdis", path])

    def work(self, work):
        return {**work, "WORK": "webdis", "SHA": self.sha}


class Fastify(Peer):
    name = "fastify+ioredis"

    def start(self):
        if not shutil.which("node") or not os.path.isdir(f"{NODE_MODULES}/fastify"):
            raise Missing("fastify, ioredis (npm)")
        more = {"NODE_PATH": NODE_MODULES, "NODE_ENV": "production", "PORT": str(self.port), "REDIS": self.redis.socket,
                "SCRIPT": f"{ROOT}/loadtest/yardstick_vote.lua"}
        return self.spawn(["node", f"{ROOT}/loadtest/fastify_vote.js"], env={**os.environ, **more})


class RedisBenchmark(Peer):
    """The yardstick's votes with nothing between; spread evenly whatever the law, as it knows no other."""
    name = "redis-benchmark"

    def __init__(self, fsync):
        self.redis = Redis(fsync)
        self.sha, self.folder = self.redis.load_script(), tempfile.mkdtemp(prefix="engaged-peer-")

    def pids(self):
        return {}

    def load(self, seconds, connections, work):
        count = 20000 * seconds
        text = subprocess.run(
            ["redis-benchmark", "-s", self.redis.socket, "-c", str(connections), "-n", str(count), "-r",
             str(work["ITEMS"]), "--csv", "EVALSHA", self.sha, "4", "v:__rand_int__", "i:__rand_int__", "hot", "day",
             "u__rand_int__", "i__rand_int__", "1735689600"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        rate, _, _, p50, _, p99, _ = (float(cell) for cell in re.findall(r'"([\d.]+)"', text.splitlines()[-1]))
        return Result({"seconds": count / rate, "p50": 1000 * p50, "p99": 1000 * p99}, count)


PEERS = {peer.name: peer for peer in (NginxStatic, Bare, NginxLua, Webdis, Fastify, RedisBenchmark)}
