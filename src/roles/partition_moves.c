// SPDX-License-Identifier: MIT
#include "roles/partition_moves.h"
#include <stdio.h>
#include <string.h>

// ---- Masters

uint32_t masters_add(struct masters *masters, struct bytes id, struct bytes name) {
    for (uint32_t i = 0; i < masters->count; i++)
        if (bytes_eq(id, bytes_of(masters->at[i].id)))
            return i;
    if (masters->count == MASTERS_MAX)
        return MASTERS_MAX;
    struct master *master = &masters->at[masters->count];
    snprintf(master->id, sizeof master->id, "%.*s", (int)id.len, id.at);
    snprintf(master->name, sizeof master->name, "%.*s", (int)name.len, name.at);
    return masters->count++;
}

static struct bytes next_word(struct bytes *rest, char end) {
    const char *at = rest->len ? memchr(rest->at, end, rest->len) : NULL;
    struct bytes word = {rest->at, at ? (size_t)(at - rest->at) : rest->len};
    size_t taken = at ? word.len + 1 : word.len;
    *rest = (struct bytes){rest->at + taken, rest->len - taken};
    return word;
}

static bool has_flag(struct bytes flags, struct bytes wanted) {
    while (flags.len)
        if (bytes_eq(next_word(&flags, ','), wanted))
            return true;
    return false;
}

// "ip:port@bus,hostname" becomes host:port; the name, if there is one, is what others are meant to use.
static void add_line(struct masters *masters, struct bytes line) {
    struct bytes id = next_word(&line, ' '), address = next_word(&line, ' '), flags = next_word(&line, ' ');
    struct bytes host_and_port = next_word(&address, '@');
    next_word(&address, ',');
    struct bytes host = next_word(&address, ',');
    const char *colon = host_and_port.len ? memrchr(host_and_port.at, ':', host_and_port.len) : NULL;
    char name[sizeof masters->at[0].name];
    if (!colon || !has_flag(flags, BYTES("master")) || has_flag(flags, BYTES("fail")) ||
        has_flag(flags, BYTES("handshake")) || has_flag(flags, BYTES("noaddr")))
        return;
    if (!host.len)
        host = (struct bytes){host_and_port.at, (size_t)(colon - host_and_port.at)};
    int port = (int)(host_and_port.at + host_and_port.len - colon - 1);
    bool v6 = memchr(host.at, ':', host.len) != NULL;
    snprintf(name, sizeof name, v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", (int)host.len, host.at, port, colon + 1);
    masters_add(masters, id, bytes_of(name));
}

void masters_add_nodes(struct masters *masters, struct bytes nodes) {
    while (nodes.len)
        add_line(masters, next_word(&nodes, '\n'));
}

// ---- Moves

static uint32_t fullest(const struct masters *masters) {
    uint32_t found = 0;
    for (uint32_t i = 1; i < masters->count; i++)
        if (masters->at[i].partitions > masters->at[found].partitions)
            found = i;
    return found;
}

static uint32_t emptiest(const struct masters *masters) {
    uint32_t found = 0;
    for (uint32_t i = 1; i < masters->count; i++)
        if (masters->at[i].partitions < masters->at[found].partitions)
            found = i;
    return found;
}

bool moves_next(struct masters *masters, uint32_t partitions, uint32_t *owners, const uint64_t *bytes,
                struct partition_move *ret_move) {
    if (masters->count == 0)
        return false;
    struct partition_move move = {.partition = partitions, .from = fullest(masters), .to = emptiest(masters)};
    if (masters->at[move.from].partitions <= masters->at[move.to].partitions + 1)
        return false;
    for (uint32_t i = 0; i < partitions; i++)
        if (owners[i] == move.from && (move.partition == partitions || bytes[i] < bytes[move.partition]))
            move.partition = i;
    owners[move.partition] = move.to;
    masters->at[move.from].partitions--;
    masters->at[move.to].partitions++;
    *ret_move = move;
    return true;
}

// ---- For a shell

// MIGRATE speaks to the other node for itself, so it needs the password, too. A call that was stopped before its last
// line has made the target the owner already; the next call then has only the end to do. A line of an older table may
// name a source that has the slot no more: it changes nothing, since a slot that is left open is 503 to many.
void moves_print_function(void) {
    puts("move() ( # SLOT, then host, port and id of the node that has it, then of the one that gets it");
    puts("    set -ef");
    puts("    from=\"redis-cli -e -h $2 -p $3\" to=\"redis-cli -e -h $5 -p $6\"");
    puts("    for node in \"$from\" \"$to\"; do");
    puts("        $node INFO replication | grep -q state=online || { echo \"$node: no replica\" >&2; exit 1; }");
    puts("    done");
    puts("    has() { # NODE SLOT");
    puts("        $1 CLUSTER NODES | awk -v slot=$2 '$3 ~ /myself/ { for (i = 9; i <= NF; i++)");
    puts("            if ($i !~ /^\\[/ && split($i \"-\" $i, at, \"-\") && at[1] + 0 <= slot && slot <= at[2] + 0) "
         "found = 1 }");
    puts("            END { exit !found }'");
    puts("    }");
    puts("    if ! has \"$to\" $1; then");
    puts("        has \"$from\" $1 || { echo \"$from: has slot $1 no more; call engaged partitions again\" >&2; exit "
         "1; }");
    puts("        $to CLUSTER SETSLOT $1 IMPORTING $4");
    puts("        $from CLUSTER SETSLOT $1 MIGRATING $7");
    puts("        while true; do");
    puts("            keys=$($from CLUSTER GETKEYSINSLOT $1 100)");
    puts("            [ -n \"$keys\" ] || break");
    puts("            $from MIGRATE $5 $6 '' 0 5000 ${REDISCLI_AUTH:+AUTH \"$REDISCLI_AUTH\"} KEYS $keys >/dev/null");
    puts("        done");
    puts("    fi");
    puts("    $to CLUSTER SETSLOT $1 NODE $7");
    puts("    $from CLUSTER SETSLOT $1 NODE $7");
    puts(")");
}

static void print_node(const struct master *master) {
    const char *colon = strrchr(master->name, ':');
    int len = colon ? (int)(colon - master->name) : 0;
    bool v6 = master->name[0] == '[';
    printf(" %.*s %s %s", v6 ? len - 2 : len, master->name + v6, colon ? colon + 1 : "", master->id);
}

void moves_print_call(const struct masters *masters, const struct partition_move *move, uint16_t slot,
                      struct bytes tag) {
    printf("move %u", slot);
    print_node(&masters->at[move->from]);
    print_node(&masters->at[move->to]);
    printf(" # partition %u, %.*s\n", move->partition, (int)tag.len, tag.at);
}
