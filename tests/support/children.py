# SPDX-License-Identifier: MIT


def children_of(service, role):
    return service.children(role)
