/* SPDX-License-Identifier: MIT
 *
 * The road of a view or a vote from a worker to the states that count it, over two partitions that fail over each on its
 * own. README.md of this folder says what is modelled and what is not, run.py which bounds and which flaws are tried.
 *
 * A partition has two nodes of Redis. One is the master; the other becomes it by a failover. It begins with a copy of an
 * older state of the master, so a tail is lost. The old master goes on for those who have not noticed, until it is demoted.
 * All that a node holds of its partition rolls back together, because all its keys lie in one slot.
 *
 * Entries have numbers: 0 … WRITES-1 are views and votes, the next are those that lua/open.lua appends. A log is a set of
 * entries; their ids give the order. A state is the set of entries that it counts. Each d_step is what Redis does in one
 * instant. FLAW_… leaves a rule of the code out, BROKEN_… an assumption about the world.
 */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef CRASHES
#define CRASHES 0 /* of projectors */
#endif
#ifndef AWAYS
#define AWAYS 0 /* how often a partition does not answer, though nothing has happened to it */
#endif
#ifndef DELETES
#define DELETES 0
#endif
#ifndef PROCESSES
#define PROCESSES 1 /* projectors */
#endif
#ifndef PROJECTIONS
#define PROJECTIONS 1 /* of each: the sums; and the neighbours */
#endif
#ifndef VOTES
#define VOTES 0 /* bit v: entry v changes its own partition. All others change the other one */
#endif
#ifndef AT_ONCE
#define AT_ONCE 2 /* entries of a log in a batch */
#endif
#define ENGINES (PROCESSES * PROJECTIONS)
#ifdef ONE_STREAM
#define ENTRIES (WRITES + 2 * FAILOVERS) /* at most 8 */
#else
#define ENTRIES (WRITES + FAILOVERS)
#endif
#define NONE 255
#define SEQ 8 /* an id is ms * SEQ + seq */
#ifdef FLAW_OPEN_NOT_AHEAD
#define AHEAD 0
#else
#define AHEAD 2 /* store/open.c: AHEAD_MS. Clocks differ by less */
#endif

/* ---- Redis */

typedef Node {
    bit master;
    bit open;       /* the field "life" of its offsets is of its present life */
    byte life;      /* that field: the number of the opening; 0: the first */
    byte last;      /* the log's last-generated-id */
    byte log;       /* bit v: the log has entry v */
    byte kept;      /* bit v: the log has entry v, or had it before it was trimmed */
    byte version[PROJECTIONS];
    byte state[PROJECTIONS];         /* bit v: it counts entry v */
    byte counted[PROJECTIONS];       /* the same, but for deletions */
    byte applied[PROJECTIONS * 2];   /* [projection * 2 + source] */
    byte offset[PROJECTIONS];
    byte offset_lives[PROJECTIONS]   /* the lives in which the offset was reached */
};

Node node[4];   /* of partition p: 2p and 2p + 1 */
bit newest[2];  /* which of the two was promoted last */
bit copied[2];  /* the other one holds a copy and may be promoted */
byte era[2];    /* the time in ms. An old master takes writes for less than the minute that open.lua is ahead */
byte id_of[8];
byte source_of; /* bit v: the partition whose log got entry v */
byte writes, opens, failovers, crashes, aways, deletes;

/* ---- What the projectors know */

bit link[PROCESSES * 2];  /* [process * 2 + partition]: the node that it takes for the master */
bit cut[PROCESSES * 2];   /* that node has told that it is none any more */
bit opened[PROCESSES * 2]; /* router_is_open: it has opened the log there, or heard that it is open */
byte told[PROCESSES * 2];  /* cluster.c: opening.life, in which life */
byte heard[PROCESSES * 2]; /* store_inside.h: partition_lives, the field "life" as offsets were read last */
byte note[PROCESSES * 2]; /* how far both projections were when the note was taken: log_kept; 0: no note */
bit stale[ENGINES];       /* the process has seen another life since the round began (store_generation) */
bit known[ENGINES];       /* the engine has read offsets and applied ids */
byte lives[ENGINES];      /* hash_of_lives: of A in the low four bits, of B in the high ones */
byte cursor[ENGINES * 2]; /* [engine * 2 + log]: offset, how far it has read */
byte stored[ENGINES * 2]; /* how far all partitions have it, as Redis has acknowledged */
byte version[ENGINES];    /* that the chunk was read at */

hidden byte i, k, found, other, high, fresh, top, due, low, after;

#define PROJECTION(e) ((e) % PROJECTIONS)
#define PROCESS(e) ((e) / PROJECTIONS)
#define LINK(process, p) link[(process) * 2 + (p)]
#define CUT(process, p) cut[(process) * 2 + (p)]
#define AT(process, p) (2 * (p) + LINK(process, p))
#define NEWEST(p) (2 * (p) + newest[p])
#define OLD(p) (2 * (p) + 1 - newest[p])
#define HAS(set, v) (((set) >> (v)) & 1)
#define SOURCE(v) HAS(source_of, v)
#define TOUCHES(v, t) ((v) < WRITES && (SOURCE(v) == (t)) == HAS(VOTES, v))
#define LEAST(a, b) ((a) < (b) -> (a) : (b))
#define MOST(a, b) ((a) > (b) -> (a) : (b))

#ifdef BROKEN_LATE_OPEN
#define MAY_OPEN(n, p) (node[n].master && !node[n].open)
#else
#define MAY_OPEN(n, p) (node[n].master && !node[n].open && NEWEST(p) == (n))
#endif

/* found = the entry of the log l with the least id above `after`. */
inline find_next(set, l, after) {
    found = NONE;
    for (i : 0 .. ENTRIES - 1) {
        if
        :: HAS(set, i) && SOURCE(i) == l && id_of[i] > after && (found == NONE || id_of[i] < id_of[found]) -> found = i
        :: else
        fi
    }
}

/* A version that nobody holds: what random numbers give (store.c: version_new). */
inline new_version(p, j, held) {
#ifdef FLAW_VERSION_COUNTS
    fresh = (held) + 1;
#else
    fresh = 1;
    do
    :: node[2 * (p)].version[j] == fresh || node[2 * (p) + 1].version[j] == fresh || version[0] == fresh ||
       version[ENGINES - 1] == fresh -> fresh++
    :: else -> break
    od
#endif
}

/* XADD */
inline append(n, p, v, id) {
    node[n].last = id;
    node[n].log = node[n].log | (1 << (v));
    node[n].kept = node[n].kept | (1 << (v));
    id_of[v] = id;
    source_of = source_of | ((p) << (v));
    for (i : 0 .. ENTRIES - 1) { /* no id is given to two entries of a partition, in no two lives */
        assert(i == (v) || id_of[i] != id || SOURCE(i) != (p))
    }
}

/* lua/open.lua */
inline open_log(n, p) {
    top = MOST(era[p] + AHEAD, node[n].last / SEQ + 1) * SEQ;
    opens++;
    node[n].life = opens;
    node[n].open = 1;
    append(n, p, WRITES + opens - 1, top)
}

/* lua/view.lua, lua/vote.lua */
inline write_entry(n, p, id) {
    top = id;
    append(n, p, writes, top);
    writes++
}

/* lua/delete.lua: takes the state away and changes the versions. */
inline delete_item(n, p) {
    deletes++;
    for (k : 0 .. PROJECTIONS - 1) {
        node[n].state[k] = 0;
#ifndef FLAW_DELETE_KEEPS_VERSION
        new_version(p, k, node[n].version[k]);
        node[n].version[k] = fresh
#endif
    }
}

/* ---- Failovers */

inline copy_node(from, to) {
    node[to].life = node[from].life;
    node[to].open = 0;
    node[to].last = node[from].last;
    node[to].log = node[from].log;
    node[to].kept = node[from].kept;
    for (i : 0 .. PROJECTIONS - 1) {
        node[to].version[i] = node[from].version[i];
        node[to].state[i] = node[from].state[i];
        node[to].counted[i] = node[from].counted[i];
        node[to].applied[2 * i] = node[from].applied[2 * i];
        node[to].applied[2 * i + 1] = node[from].applied[2 * i + 1];
        node[to].offset[i] = node[from].offset[i];
        node[to].offset_lives[i] = node[from].offset_lives[i]
    }
}

inline promote(p) {
    failovers++;
    era[p]++;
    copied[p] = 0;
    newest[p] = 1 - newest[p];
    node[NEWEST(p)].master = 1
}

/* The old master becomes a replica and holds nothing of its own any more. */
inline demote(p) {
    node[OLD(p)].master = 0;
    node[OLD(p)].life = 0;
    node[OLD(p)].open = 0;
    node[OLD(p)].last = 0;
    node[OLD(p)].log = 0;
    node[OLD(p)].kept = 0;
    for (i : 0 .. PROJECTIONS - 1) {
        node[OLD(p)].version[i] = 0;
        node[OLD(p)].state[i] = 0;
        node[OLD(p)].counted[i] = 0;
        node[OLD(p)].applied[2 * i] = 0;
        node[OLD(p)].applied[2 * i + 1] = 0;
        node[OLD(p)].offset[i] = 0;
        node[OLD(p)].offset_lives[i] = 0
    }
#ifndef BROKEN_SLEEP
    for (i : 0 .. PROCESSES - 1) {
        if
        :: LINK(i, p) != newest[p] -> CUT(i, p) = 1
        :: else
        fi
    }
#endif
}

inline drop_notes(process) {
    note[process * 2] = 0;
    note[process * 2 + 1] = 0
}

inline rise(process) { /* store_generation, for both engines of the process */
    stale[(process) * PROJECTIONS] = 1;
    stale[(process) * PROJECTIONS + PROJECTIONS - 1] = 1
}

/* redis/router_refresh.c: the map, or a redirection, says another master. */
inline notice(process, p) {
    LINK(process, p) = newest[p];
    CUT(process, p) = 0;
    opened[process * 2 + p] = 0
}

/* store/cluster.c: open_partition and note_life. One Redis: store/handshake.c. */
inline open_place(process, p) {
    found = node[NEWEST(p)].open;
    if
    :: MAY_OPEN(AT(process, p), p) -> open_log(AT(process, p), p)
    :: else
    fi;
    opened[process * 2 + p] = 1;
    if
#ifdef FLAW_OPENED_BY_OTHERS
    :: !found ->
#else
    :: node[AT(process, p)].life != told[process * 2 + p] ->
#endif
        told[process * 2 + p] = node[AT(process, p)].life;
#ifndef FLAW_LIFE_NOT_NOTICED
        rise(process);
#endif
#ifndef FLAW_NOTES_OUTLIVE
        drop_notes(process)
#endif
    :: else
    fi
}

/* ---- The world: workers, time, failovers, deletions. Workers need no state: one may be linked to any master */

#ifdef NARROW /* only A is written and fails over, its old master stays, and the second projector does not notice */
#define IS_LEFT_OUT(p) ((p) == 1)
#define STAYS 1
#else
#define IS_LEFT_OUT(p) 0
#define STAYS 0
#endif
#ifdef FLAW_NO_OPEN
#define MAY_WRITE(n) (writes < WRITES && node[n].master && !IS_LEFT_OUT((n) / 2))
#else
#define MAY_WRITE(n) (writes < WRITES && node[n].master && node[n].open && !IS_LEFT_OUT((n) / 2))
#endif
#ifdef BROKEN_CLOCKS
#define CLOCK(p) ((era[p] + AHEAD) * SEQ)
#elif defined(FLAW_OPEN_NOT_AHEAD)
#define CLOCK(p) ((era[p] + 1) * SEQ)
#else
#define CLOCK(p) ((era[p] + AHEAD - 1) * SEQ) /* of a node that is ahead of the service by almost all that is allowed */
#endif
#define NODE_ACTIONS(n, p) \
    :: d_step { MAY_WRITE(n) -> write_entry(n, p, node[n].last + 1); skip } \
    :: d_step { MAY_WRITE(n) && CLOCK(p) > node[n].last -> write_entry(n, p, CLOCK(p)); skip } \
    :: d_step { MAY_OPEN(n, p) -> open_log(n, p); skip } \
    :: d_step { deletes < DELETES && node[n].master -> delete_item(n, p); skip }
#ifdef ONE_STREAM /* one Redis with all partitions, or a Sentinel group: they fail over together */
#define FAILOVER_ACTIONS(p) \
    :: d_step { p == 0 && failovers < FAILOVERS && !copied[0] && !node[OLD(0)].master -> \
        copied[0] = 1; copied[1] = 1; copy_node(NEWEST(0), OLD(0)); copy_node(NEWEST(1), OLD(1)); skip } \
    :: d_step { p == 0 && copied[0] -> promote(0); promote(1); failovers--; skip } \
    :: d_step { p == 0 && node[OLD(0)].master -> demote(0); demote(1); skip }
#define PROCESS_ACTIONS(process, p) \
    :: d_step { p == 0 && (LINK(process, 0) != newest[0] || CUT(process, 0)) -> \
        notice(process, 0); notice(process, 1); open_place(process, 0); open_place(process, 1); skip }
#else
#define FAILOVER_ACTIONS(p) \
    :: d_step { !IS_LEFT_OUT(p) && failovers + copied[0] + copied[1] < FAILOVERS && !copied[p] && !node[OLD(p)].master -> \
        copied[p] = 1; copy_node(NEWEST(p), OLD(p)); skip } \
    :: d_step { copied[p] -> promote(p); skip } \
    :: d_step { STAYS == 0 && node[OLD(p)].master -> demote(p); skip }
#define PROCESS_ACTIONS(process, p) \
    :: d_step { LINK(process, p) != newest[p] || CUT(process, p) -> notice(process, p); skip } \
    :: d_step { !opened[(process) * 2 + p] && !CUT(process, p) && \
        (node[AT(process, p)].open || MAY_OPEN(AT(process, p), p)) -> open_place(process, p); skip }
#endif
#define PARTITION_ACTIONS(p) \
    NODE_ACTIONS(2 * p, p) \
    NODE_ACTIONS(2 * p + 1, p) \
    FAILOVER_ACTIONS(p)

proctype World() {
end:
    do
    PARTITION_ACTIONS(0)
    PARTITION_ACTIONS(1)
    PROCESS_ACTIONS(0, 0)
    PROCESS_ACTIONS(0, 1)
#if PROCESSES == 2 && !defined(NARROW)
    PROCESS_ACTIONS(1, 0)
    PROCESS_ACTIONS(1, 1)
#endif
    od
}

/* ---- A projection: src/project/engine.c, partition_write.c. The steps are those of src/project/steps.def */

mtype = {IDLE, READ_OFFSETS, READ_APPLIED, OPEN_LOGS, READ_LOGS, READ_CHUNK, READ_STATES, COMMIT_CHUNK, WRITE_OFFSETS};

#define MY(p) AT(PROCESS(e), p)
#define HERE node[MY(p)]
#define ANSWERS(p) (node[MY(p)].master && !CUT(PROCESS(e), p))
#define LIFE_IN(lives, p) (((lives) >> (4 * (p))) & 15)
#define IS_BEHIND(p) HAS(behind, p)
#define IS_MORE(l, v) ((v) < ENTRIES && HAS(node[MY(l)].log, v) && id_of[v] > cursor[e * 2 + l])
#define MORE(l) (!IS_BEHIND(l) && (IS_MORE(l, 0) || IS_MORE(l, 1) || IS_MORE(l, 2) || IS_MORE(l, 3) || IS_MORE(l, 4) || \
    IS_MORE(l, 5) || IS_MORE(l, 6) || IS_MORE(l, 7)))
#define BACK(p) (IS_BEHIND(p) && ANSWERS(p)) /* behind.c asks it, and it answers */

inline leave_chunk() {
    version[e] = 0;
    state = 0;
    seen[0] = 0;
    seen[1] = 0;
    at = 0
}

inline fail() { /* engine_forget, and the batch is forgotten */
    leave_chunk();
    known[e] = 0;
    lives[e] = 0;
    for (i : 0 .. 1) {
        cursor[e * 2 + i] = 0;
        stored[e * 2 + i] = 0;
        filter[2 * i] = 0;
        filter[2 * i + 1] = 0;
        missed[i] = 0
    }
    batch = 0;
    p = 0;
    step = IDLE
}

/* due = which of the batch's entries the partition t has to apply. */
inline find_deltas(t) {
    due = 0;
    for (i : 0 .. WRITES - 1) {
        if
        :: HAS(batch, i) && TOUCHES(i, t) && id_of[i] > filter[t * 2 + SOURCE(i)] -> due = due | (1 << i)
        :: else
        fi
    }
}

/* The partition t is left behind: batch_leave, note_missed. */
inline leave(t) {
    behind = behind | (1 << t);
    find_deltas(t);
    for (i : 0 .. WRITES - 1) {
        if
        :: HAS(due, i) && (missed[SOURCE(i)] == 0 || id_of[i] < missed[SOURCE(i)]) -> missed[SOURCE(i)] = id_of[i]
        :: else
        fi
    }
    if
    :: behind == 3 -> behind = 0; fail() /* it is not one partition that fails */
    :: else
    fi
}

inline next_partition() {
    leave_chunk();
    p++;
    if
#ifdef FLAW_OFFSETS_FIRST
    :: p == 2 -> p = 0; batch = 0; step = IDLE
#else
    :: p == 2 -> p = 0; step = WRITE_OFFSETS
#endif
    :: else -> step = READ_CHUNK
    fi
}

#ifdef FLAW_NO_VERSION
#define VERSION_MOVED 0
#else
#define VERSION_MOVED (HERE.version[PROJECTION(e)] != version[e])
#endif
#ifdef FLAW_COMMIT_IN_ANY_LIFE
#define LIFE_MOVED 0
#else
#define LIFE_MOVED (HERE.life != LIFE_IN(lives[e], p))
#endif
#ifdef FLAW_COMMIT_BEFORE_OPEN
#define IS_OPEN(p) 1
#else
#define IS_OPEN(p) opened[PROCESS(e) * 2 + (p)] /* scripts.c: needs_open */
#endif

/* lua/commit.lua, which has found the version unchanged */
inline commit_chunk() {
    assert(HERE.state[PROJECTION(e)] == state); /* nothing is overwritten */
    for (i : 0 .. WRITES - 1) {
        if
#ifdef FLAW_APPLIED_OF_THE_ROUND
        :: HAS(due, i) ->
#else
        :: HAS(due, i) && id_of[i] > seen[SOURCE(i)] ->
#endif
            assert(!HAS(HERE.counted[PROJECTION(e)], i)); /* no entry is applied twice */
            state = state | (1 << i);
            HERE.counted[PROJECTION(e)] = HERE.counted[PROJECTION(e)] | (1 << i);
#ifndef FLAW_NO_APPLIED
            HERE.applied[PROJECTION(e) * 2 + SOURCE(i)] = MOST(id_of[i], HERE.applied[PROJECTION(e) * 2 + SOURCE(i)])
#endif
        :: else
        fi
    }
    HERE.state[PROJECTION(e)] = state;
    version[e] = 0;
    new_version(p, PROJECTION(e), HERE.version[PROJECTION(e)]);
    HERE.version[PROJECTION(e)] = fresh
}

/* When nothing is left to read in the newest masters, every entry that its log and its target have kept is applied. */
#define CURRENT(l) (!CUT(PROCESS(e), l) && MY(l) == NEWEST(l) && opened[PROCESS(e) * 2 + (l)])
inline judge() {
    find_next(node[NEWEST(0)].log, 0, cursor[e * 2]);
    other = found;
    find_next(node[NEWEST(1)].log, 1, cursor[e * 2 + 1]);
    if
    :: known[e] && !stale[e] && behind == 0 && CURRENT(0) && CURRENT(1) && other == NONE && found == NONE ->
#ifdef REACHED
        assert(writes < WRITES || failovers < FAILOVERS || crashes < CRASHES || aways < AWAYS || deletes < DELETES);
#endif
        for (i : 0 .. WRITES - 1) {
            for (k : 0 .. 1) {
                assert(i >= writes || !TOUCHES(i, k) || !HAS(node[NEWEST(SOURCE(i))].kept, i) ||
                       HAS(node[NEWEST(k)].counted[PROJECTION(e)], i)) /* no entry is left out */
            }
        }
    :: else
    fi
}

proctype Engine(byte e) {
    mtype step = IDLE;
    byte p, batch, state, behind;
    byte seen[2];   /* the applied ids that came with the chunk */
    byte filter[4]; /* [target * 2 + source]: the applied ids when the offsets were read */
    byte missed[2]; /* per log: the first entry that a partition behind misses */
    bit at;         /* the node that the chunk was read from */
end:
    do
    :: d_step { (step == IDLE && (stale[e] || !known[e] || BACK(0) || BACK(1))) || step == READ_OFFSETS -> /* engine_round, logs.c */
        if
        :: step == IDLE ->
            if
            :: stale[e] -> fail(); stale[e] = 0
            :: else
            fi;
            if
            :: BACK(0) -> behind = behind & 2
            :: else
            fi;
            if
            :: BACK(1) -> behind = behind & 1
            :: else
            fi;
#ifdef FLAW_CURSOR_STAYS
            step = (known[e] -> IDLE : READ_OFFSETS)
#else
            known[e] = 0;
            stored[e * 2] = 0;
            stored[e * 2 + 1] = 0;
            missed[0] = 0;
            missed[1] = 0;
            step = READ_OFFSETS
#endif
        :: else
        fi;
        if
        :: step == READ_OFFSETS ->
            if
            :: IS_BEHIND(p)
            :: !IS_BEHIND(p) && !ANSWERS(p) -> leave(p)
            :: else ->
                heard[PROCESS(e) * 2 + p] = HERE.life;
                cursor[e * 2 + p] = HERE.offset[PROJECTION(e)];
                seen[p] = HERE.offset_lives[PROJECTION(e)]
            fi;
            if
            :: step == READ_OFFSETS -> p++
            :: else
            fi;
            if
            :: p == 2 ->
                p = 0;
                step = READ_APPLIED;
                lives[e] = heard[PROCESS(e) * 2] | (heard[PROCESS(e) * 2 + 1] << 4);
                for (i : 0 .. 1) {
                    filter[2 * i] = 0;
                    filter[2 * i + 1] = 0;
                    if
#ifndef FLAW_OFFSETS_OF_ANY_LIFE
                    :: seen[i] != lives[e] -> cursor[e * 2 + i] = 0
#endif
                    :: else
                    fi;
                    stored[e * 2 + i] = cursor[e * 2 + i];
                    seen[i] = 0
                }
            :: else
            fi
        :: else
        fi;
        skip
       }
    :: d_step { step == READ_APPLIED -> /* store_read_applied */
        if
        :: IS_BEHIND(p)
        :: !IS_BEHIND(p) && !ANSWERS(p) -> leave(p)
        :: else ->
            filter[p * 2] = HERE.applied[PROJECTION(e) * 2];
            filter[p * 2 + 1] = HERE.applied[PROJECTION(e) * 2 + 1]
        fi;
        if
        :: step == READ_APPLIED && p == 0 -> p = 1
        :: step == READ_APPLIED && p == 1 -> p = 0; step = OPEN_LOGS
        :: else
        fi;
        skip
       }
    :: d_step { step == OPEN_LOGS -> /* store_open_above */
        high = MOST(filter[p], filter[2 + p]);
        if
        :: IS_BEHIND(p)
        :: !IS_BEHIND(p) && !ANSWERS(p) -> leave(p)
#ifndef BROKEN_RAISE
        :: !IS_BEHIND(p) && ANSWERS(p) && MY(p) != NEWEST(p) && high > HERE.last -> leave(p)
#endif
        :: else ->
            if
            :: MAY_OPEN(MY(p), p) ->
                open_log(MY(p), p);
                rise(PROCESS(e))
            :: else
            fi;
#ifdef BROKEN_RAISE
            if
            :: high > HERE.last -> HERE.last = high / SEQ * SEQ + SEQ; rise(PROCESS(e))
            :: else
            fi;
#endif
            assert(high <= HERE.last); /* a gap: it must never be found */
            skip
        fi;
        if
        :: step == OPEN_LOGS && p == 0 -> p = 1
        :: step == OPEN_LOGS && p == 1 -> p = 0; known[e] = !stale[e]; step = (stale[e] -> IDLE : READ_LOGS)
        :: else
        fi;
        skip
       }
    :: d_step { (step == IDLE && known[e] && !stale[e] && (MORE(0) || MORE(1))) || step == READ_LOGS -> /* store_read_logs */
        step = READ_LOGS;
        if
        :: IS_BEHIND(p)
        :: !IS_BEHIND(p) && !ANSWERS(p) -> leave(p)
        :: else ->
            after = cursor[e * 2 + p];
            for (k : 1 .. AT_ONCE) {
                find_next(HERE.log, p, after);
                if
                :: found != NONE -> batch = batch | (1 << found); after = id_of[found]
                :: else
                fi
            }
        fi;
        if
        :: step == READ_LOGS && p == 0 -> p = 1
#ifdef FLAW_OFFSETS_FIRST
        :: step == READ_LOGS && p == 1 && batch -> p = 0; step = WRITE_OFFSETS
#else
        :: step == READ_LOGS && p == 1 && batch -> p = 0; step = READ_CHUNK
#endif
        :: step == READ_LOGS && p == 1 && !batch -> p = 0; step = IDLE; judge()
        :: else
        fi;
        skip
       }
    :: d_step { step == READ_CHUNK -> /* partition_read.c: version and applied ids */
        find_deltas(p);
        if
        :: due == 0 -> next_partition()
        :: due != 0 && (IS_BEHIND(p) || !ANSWERS(p)) ->
            leave(p);
            if
            :: step == READ_CHUNK -> next_partition()
            :: else
            fi
        :: else ->
#ifdef FLAW_STATES_FIRST
            state = HERE.state[PROJECTION(e)];
#else
            version[e] = HERE.version[PROJECTION(e)];
            seen[0] = HERE.applied[PROJECTION(e) * 2];
            seen[1] = HERE.applied[PROJECTION(e) * 2 + 1];
#endif
            at = LINK(PROCESS(e), p);
#ifdef READ_AT_ONCE /* as if one script read version and states */
            state = HERE.state[PROJECTION(e)];
            step = COMMIT_CHUNK
#else
            step = READ_STATES
#endif
        fi;
        skip
       }
    :: d_step { step == READ_STATES -> /* the states come later in the same pipeline */
        if
        :: !stale[e] && (LINK(PROCESS(e), p) != at || !ANSWERS(p)) -> leave(p)
        :: stale[e] || LIFE_MOVED -> fail() /* engine_begin_again */
        :: else ->
#ifdef FLAW_STATES_FIRST
            version[e] = HERE.version[PROJECTION(e)];
            seen[0] = HERE.applied[PROJECTION(e) * 2];
            seen[1] = HERE.applied[PROJECTION(e) * 2 + 1];
#else
            state = HERE.state[PROJECTION(e)];
#endif
            step = COMMIT_CHUNK
        fi;
        if
        :: step == READ_STATES -> next_partition()
        :: else
        fi;
        skip
       }
    :: d_step { step == COMMIT_CHUNK && (IS_OPEN(p) || !ANSWERS(p)) -> /* commit_send; until the place is open the call is held */
        find_deltas(p);
        if
        :: !ANSWERS(p) -> leave(p)
        :: else ->
            if
            :: VERSION_MOVED && (HERE.applied[PROJECTION(e) * 2] > seen[0] || HERE.applied[PROJECTION(e) * 2 + 1] > seen[1]) -> fail() /* overtaken */
            :: LIFE_MOVED || (VERSION_MOVED && HERE.applied[PROJECTION(e) * 2] <= seen[0] && HERE.applied[PROJECTION(e) * 2 + 1] <= seen[1]) ->
                leave_chunk();
                step = READ_CHUNK
            :: else ->
                commit_chunk();
                for (i : 0 .. WRITES - 1) { /* remember_applied */
                    if
                    :: HAS(due, i) -> filter[p * 2 + SOURCE(i)] = MOST(id_of[i], filter[p * 2 + SOURCE(i)])
                    :: else
                    fi
                }
            fi
        fi;
        if
        :: step == COMMIT_CHUNK -> next_partition()
        :: else
        fi;
        skip
       }
    :: d_step { step == COMMIT_CHUNK && aways < AWAYS && IS_OPEN(p) && ANSWERS(p) && !VERSION_MOVED && !LIFE_MOVED -> /* written, but the answer is lost */
        aways++;
        find_deltas(p);
        commit_chunk();
        leave(p);
        if
        :: step == COMMIT_CHUNK -> next_partition()
        :: else
        fi;
        skip
       }
    :: d_step { step == WRITE_OFFSETS -> /* store_write_offsets */
        after = cursor[e * 2 + p]; /* batch.last */
        high = 0;                  /* batch_whole: the last entry before the first that is missed */
        for (i : 0 .. ENTRIES - 1) {
            if
            :: HAS(batch, i) && SOURCE(i) == p ->
                after = MOST(after, id_of[i]);
                if
#ifndef FLAW_OFFSET_PAST_BEHIND
                :: missed[p] && id_of[i] >= missed[p]
#endif
                :: else -> high = MOST(high, id_of[i])
                fi
            :: else
            fi
        }
        if
        :: ANSWERS(p) || IS_BEHIND(p) ->
            cursor[e * 2 + p] = after;
            if
            :: high > stored[e * 2 + p] && !IS_BEHIND(p) ->
                stored[e * 2 + p] = high;
                HERE.offset[PROJECTION(e)] = high;
                HERE.offset_lives[PROJECTION(e)] = lives[e]
            :: else
            fi
        :: else -> leave(p)
        fi;
        if
        :: step == WRITE_OFFSETS && p == 0 -> p = 1
#ifdef FLAW_OFFSETS_FIRST
        :: step == WRITE_OFFSETS && p == 1 -> p = 0; step = READ_CHUNK
#else
        :: step == WRITE_OFFSETS && p == 1 -> p = 0; batch = 0; step = IDLE; judge()
#endif
        :: else
        fi;
        skip
       }
    :: d_step { (known[e] || step != IDLE) && crashes < CRASHES -> crashes++; behind = 0; fail(); drop_notes(PROCESS(e)); skip }
    :: d_step { step == READ_CHUNK && aways < AWAYS && !IS_BEHIND(p) -> aways++; leave(p); skip }
    od
}

/* ---- Trimming: src/project/projector.c (trim_below), lua/trim.lua */

#define SUMS(process) ((process) * PROJECTIONS)
#define NEIGHBOURS(process) (SUMS(process) + PROJECTIONS - 1)

inline trim(l) {
    low = note[process * 2 + l];
#ifdef FLAW_TRIM_ONE
    for (i : 0 .. 0) {
#else
    for (i : 0 .. PROJECTIONS - 1) {
#endif
        if
#ifndef FLAW_TRIM_ANY_LIFE
        :: node[AT(process, l)].offset_lives[i] != lives[SUMS(process)] -> low = 0
#endif
        :: else -> low = LEAST(low, node[AT(process, l)].offset[i])
        fi
    }
    for (i : 0 .. ENTRIES - 1) {
        if
        :: HAS(node[AT(process, l)].log, i) && id_of[i] <= low -> node[AT(process, l)].log = node[AT(process, l)].log & ~(1 << i)
        :: else
        fi
    }
    note[process * 2 + l] = 0
}

#if defined(FLAW_TRIM_AT_ONCE) || defined(ONE_STREAM) /* log_kept = 0 */
#define ALL_REPLICAS_HAVE_IT 1
#else
/* log_kept is longer than a replica lags and than a failover stays unnoticed. So what is trimmed is in every state that a
   target may still roll back to: a note is of a time without replicas that lag, and without failovers not noticed. */
#define ALL_REPLICAS_HAVE_IT (!copied[0] && !copied[1] && AT(process, 0) == NEWEST(0) && AT(process, 1) == NEWEST(1) && \
    !CUT(process, 0) && !CUT(process, 1) && opened[process * 2] && opened[process * 2 + 1])
#endif
#ifdef FLAW_NOTE_WHILE_STALE
#define MAY_NOTE (known[SUMS(process)] && known[NEIGHBOURS(process)])
#else
#define MAY_NOTE (known[SUMS(process)] && known[NEIGHBOURS(process)] && !stale[SUMS(process)] && !stale[NEIGHBOURS(process)])
#endif

proctype Trimmer(byte process) {
end:
    do
    :: d_step { note[process * 2] == 0 && note[process * 2 + 1] == 0 && MAY_NOTE && ALL_REPLICAS_HAVE_IT &&
                (node[AT(process, 0)].log || node[AT(process, 1)].log) ->
        for (k : 0 .. 1) {
#ifdef FLAW_TRIM_ONE
            note[process * 2 + k] = stored[SUMS(process) * 2 + k]
#else
            note[process * 2 + k] = LEAST(stored[SUMS(process) * 2 + k], stored[NEIGHBOURS(process) * 2 + k])
#endif
        }
        skip
       }
    :: d_step { note[process * 2] && node[AT(process, 0)].master && !CUT(process, 0) -> trim(0); skip }
    :: d_step { note[process * 2 + 1] && node[AT(process, 1)].master && !CUT(process, 1) -> trim(1); skip }
    od
}

init {
    atomic {
        for (i : 0 .. 1) {
            node[2 * i].master = 1;
            node[2 * i].open = 1;
            node[2 * i].last = AHEAD * SEQ
        }
        for (i : 0 .. ENGINES - 1) {
            known[i] = 1
        }
        for (i : 0 .. PROCESSES * 2 - 1) {
            opened[i] = 1
        }
        run World();
        run Engine(0);
#if ENGINES == 2
        run Engine(1);
#endif
#ifndef NO_TRIM
        run Trimmer(0);
#endif
#if PROCESSES == 2 && !defined(NO_TRIM)
        run Trimmer(1);
#endif
    }
}
