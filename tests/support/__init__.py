# SPDX-License-Identifier: MIT
"""The helpers that all tests share: they start, wait for and judge the service, Redis and clients.

program.py        where the program is, and its settings as options
documents.py      the fenced blocks of the documents
ports.py          free ports
proxies.py        nginx and Varnish with the configuration of a test
wait.py           waiting for a condition; beside.py goes on with calls in threads meanwhile
processes.py      children, memory and descriptors, by /proc
reports.py        what a process must never write: sanitizer reports, failed assertions, open handles
launch.py         the base of every launcher: folder, ports, settings, log, verdict
place.py          what `engaged check` and a start say of a configuration
service.py        the service as it is delivered, and its client (fixture `own` in conftest.py makes them)
machine.py        one of several machines on a Redis, which can be frozen, killed and restarted
fault_service.py  workers and projectors without a supervisor, to be killed one by one; fault_calls.py calls them
machines.py       three machines of the service on one Redis behind nginx, and readers who go on calling
redis_server.py   a redis-server for one test; scripted_redis.py is a proxy before one that answers by rules
certificates.py   an authority and what it signs, a proxy that speaks TLS
redis_cluster.py  a Redis Cluster of real nodes, and what happens to it; slot_move.py moves a slot key by key, tcp_proxy.py
                  cuts nodes off
cluster_load.py   a small load of votes and views, and whether all that was acknowledged counts
links.py          between a service and its Redis: holds back what Redis says of changed keys
scripted_cluster.py  nodes of a Cluster that answer by rules
sentinels.py      three sentinels, a master and its replica; scripted_sentinel.py is one that says what a test wants
log_writer.py     a projector alone, whose entries the test writes; packed.py reads what it has written
sharded_redis.py  a store behind one address whose partitions fail apart
old_program.py    older programs, built from the history; a service whose program is exchanged
bare_debian.py    a bare Debian 12 in a folder, with processes and a network of its own
systemd.py        the other end of $NOTIFY_SOCKET
contract.py       the OpenAPI document, and whether it has an answer
demo_page.py      the demo page in a browser
calls.py          every call of a site, with a body that it takes
by_time.py        what windows and series of a list of events have to be
period_ledger.py  whether the sets of rankings by period are what the events say
vote_calls.py     calls of the votes' script, as a worker puts them together
gate.py           between a browser and the service: counts calls, keeps them away, slows them; a publisher's pages
firefox.py        Firefox over WebDriver BiDi
widget_rows.py    the states that the widget may meet, and what must be shown, spoken and sent in each
counted.py        a quiet service whose system calls, allocations and instructions are counted
"""
