# SPDX-License-Identifier: MIT
"""The service before a Redis Cluster (3 masters, 3 replicas, 2 spare nodes), or before three sentinels with a master and a
replica. Both are started by the run and live on when the service ends."""
import redis
from redis.crc import key_slot

from history import now
from service import PARTITIONS, CrashService
from support.redis_cluster import Cluster
from support.sentinels import Sentinels
from tailer import tag_of

NODE_TIMEOUT_MS = 2000  # longer than redis_timeout
LAG_S = 1.0  # what was acknowledged longer before the end of a master is with its replica


class Distributed(CrashService):
    whole_s = 40
    presets = {**CrashService.presets, "partitions": PARTITIONS}

    def __init__(self, program, **settings):
        self.redis = None  # nobody may take it for one Redis
        super().__init__(program, **settings)

    def store_address(self):
        return self.settings["redis"]

    def begin_loss(self, partitions):
        """From here on what this master acknowledges may be lost."""
        self.losses.append([now() - LAG_S, None, partitions])

    def redis_missing(self):
        try:
            return self.nodes_missing()
        except redis.RedisError as error:
            return f"an answer of Redis ({error})"

    def all_pids(self):
        return super().all_pids() + [node.process.pid for node in self.group.nodes if node.process]

    def remove(self):
        self.group.__exit__()
        super().remove()


def has_replica(master):
    """One that has what the master has, but for the last moment."""
    info = client_of(master).execute_command("INFO", "replication")
    return any(row for name, row in info.items() if name.startswith("slave") and isinstance(row, dict)
               and row["state"] == "online" and row["lag"] <= 1)


def client_of(node, timeout=2):
    port = getattr(node, "own_port", node.port)
    return redis.Redis(port=port, socket_timeout=timeout, socket_connect_timeout=timeout)


class ClusterService(Distributed):
    by_log = True
    name = "cluster"

    def __init__(self, program, **settings):
        self.cluster = self.group = Cluster(spares=2, node_timeout=NODE_TIMEOUT_MS, proxied=True)
        self.served = {}  # by log: the node that served it last
        super().__init__(program, redis=self.cluster.url, **settings)

    def prepare(self):
        self.cluster.start()

    # ---- Partitions

    def slot(self, partition):
        return key_slot(tag_of(partition, PARTITIONS)[1:-1].encode())

    def partitions_of(self, node):
        owners = self.cluster.owners()
        return {number for number in range(PARTITIONS) if owners.get(self.slot(number)) == node.id}

    def masters(self):
        """Those that have partitions and a replica."""
        return [node for node in self.cluster.masters() if self.cluster.replicas_of(node) and self.partitions_of(node)]

    # ---- Clients

    def serving(self, key):
        """The node that says that it has the key's slot; first the one that had it last."""
        first = self.served.get(key)
        for node in sorted(self.cluster.answering(), key=lambda node: node is not first):
            try:
                client = client_of(node)
                client.exists(key)
                self.served[key] = node
                return client
            except redis.RedisError:
                continue
        raise redis.ConnectionError(f"nobody serves {key}")

    def all_redis(self):
        return [client_of(node) for node in self.cluster.answering()]

    # ---- Wholeness

    def nodes_missing(self):
        cluster = self.cluster
        down = [node for node in cluster.nodes if not node.can_answer()]
        if down:
            return f"{down[0]}"
        if not cluster.is_ok() or not cluster.replicas_are_there():
            return "a Cluster that is ok"
        alone = [node for node in cluster.masters() if not has_replica(node)]
        return f"a replica of {alone[0]}" if alone else None


class SentinelService(Distributed):
    name = "sentinel"
    presets = {**Distributed.presets, "log_kept": "20s"}  # so that the tailer, which has to look for the master, misses nothing

    def __init__(self, program, **settings):
        self.sentinels = self.group = Sentinels(down_after=1000, quick=False)
        super().__init__(program, redis=self.sentinels.url, **settings)

    def prepare(self):
        self.sentinels.__enter__()

    def masters(self):
        return [self.sentinels.master()]

    def partitions_of(self, _node):
        return set(range(PARTITIONS))

    def serving(self, _key):
        master = self.sentinels.master()
        client = client_of(master) if master else None
        if not client or client.role()[0] != b"master":
            raise redis.ConnectionError("there is no master")
        return client

    def all_redis(self):
        return [client_of(node) for node in self.sentinels.nodes if node.can_answer()]

    def nodes_missing(self):
        group = self.sentinels
        down = [member for member in group.nodes + group.sentinels if not member.can_answer()]
        if down:
            return f"{down[0]}"
        if not group.is_ok():
            return "sentinels that agree"
        return None if has_replica(group.master()) else "a replica"
