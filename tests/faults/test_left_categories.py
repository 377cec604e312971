# SPDX-License-Identifier: MIT
"""An item leaves the rankings of its old categories also when it is deleted before that change of its card is projected."""
import os
import signal
import struct

import redis

from support.beside import Beside
from support.wait import wait_until

BATCH = 5000  # entries of one log: more than the projector reads at once


def test_an_item_that_is_deleted_right_after_it_left_a_category_leaves_its_ranking(own):
    service = own(configuration="list_unknown = on\n[ranking top]\ntype = total\nviews = 1\n", unknown_items_kept="0")
    path = "/v1/s/rankings/top?category=news"
    card, old_card = {"item": "a", "title": "a", "categories": []}, {"item": "a", "title": "a", "categories": ["news"]}
    service.lines("/v1/s/items", [old_card])
    service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "a", "visitor": "v"}])
    wait_until(lambda: len(service.get(path).json["items"]) == 1, 10)

    store = redis.Redis(unix_socket_path=os.path.join(service.folder, "d", "redis.sock"))
    (partition,) = (key[:key.index(b"}") + 1] for key in store.scan_iter("{e*}c????????????????", 1000))
    (projector,) = service.children("projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        service.lines("/v1/s/items", [card])
        flushes = store.pipeline()
        for _ in range(BATCH):
            flushes.xadd(partition + b"log", {"1": struct.pack("<d", 1) + b"F"})
        flushes.execute()
        with Beside(lambda: service.keyed("DELETE", "/v1/s/items/a").status) as deletion:
            wait_until(lambda: not list(store.scan_iter("{e*}c????????????????", 1000)), 10)
            os.kill(projector, signal.SIGCONT)
    finally:
        os.kill(projector, signal.SIGCONT)
    if deletion.results != [204]:
        wait_until(lambda: service.keyed("DELETE", "/v1/s/items/a").status in (204, 404), 20)
    service.lines("/v1/s/items", [old_card])
    service.lines("/v1/s/events?wait=true", [{"type": "view", "item": "b", "visitor": "v"}])
    assert service.get(path).json["items"] == []
    assert not [key for key in store.scan_iter("{e*}r*", 1000) if b".newest" not in key and store.zscore(key, "a")]
