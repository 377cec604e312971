# SPDX-License-Identifier: MIT
"""The one layer that tests stand on: how the service, Redis and clients are started, waited for and judged.

ports.py     free ports
wait.py      waiting for a condition
reports.py   what a process must never write: sanitizer reports, failed assertions, open handles
service.py   the service and its client
"""
