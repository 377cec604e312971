-- include: may
-- Writes what a projection computed for one partition, if nothing has changed there since it was read (store/commit.c).
--
-- KEYS   applied ids (with the version), cutoffs, offsets; then the keys of the states; then the keys of the commands and
--        of the rankings
-- ARGV   1 version that was read, 2 next version (random: a counter could repeat a version after data was lost), 3 the life
--        of the partition that was read (lua/open.lua: in another one it may have lost what was applied);
--        number of applied ids, then of each: log, id;
--        number of states, then the value of each, in the order of their keys;
--        number of commands, then of each: name, key (1 is the first key after the states), number of arguments, arguments.
--        Commands that fill a key come before those that may empty it: while a Cluster moves the slot, a key that is gone
--        can't be written;
--        key of the sets of periods that wait to be cut or removed (counted likewise; 0: this write has none);
--        number of rankings, then of each: key (counted likewise), bound (0: it only loses members), its name among the
--        cutoffs, the key of these (counted likewise; 0: KEYS[2]), a cutoff: members with a worse score are removed, as
--        candidates better than they were not sent ("": all were sent), and when a new set is to be cut or removed (0:
--        never). A set that is empty waits no more
-- Reply  array: 1 written or 0 version or life has changed, version now, 1 if a trimmed ranking needs a rebuild

local version = redis.call('HGET', KEYS[1], 'version') or '0'
local life = redis.call('HGET', KEYS[3], 'life') or ''
if version ~= ARGV[1] or life ~= ARGV[3] then return {0, version, 0} end
local arg = 4

may('HSET', KEYS[1], '', '')
if #KEYS > 3 then may('MSET', KEYS[4], '') end

local applied = tonumber(ARGV[arg])
local set = {'version', ARGV[2]}
redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
for i = 1, applied do
    set[#set + 1], set[#set + 2] = ARGV[arg + 2 * i - 1], ARGV[arg + 2 * i]
end
redis.call('HSET', KEYS[1], unpack(set))
arg = arg + 1 + 2 * applied

-- States are written by one MSET per thousand.
local FIXED_KEYS, AT_ONCE = 3, 1000
local states = tonumber(ARGV[arg])
for first = 1, states, AT_ONCE do
    local set, last = {}, math.min(first + AT_ONCE - 1, states)
    for i = first, last do
        local at = 2 * (i - first)
        set[at + 1], set[at + 2] = KEYS[FIXED_KEYS + i], ARGV[arg + i]
    end
    redis.call('MSET', unpack(set))
end
arg = arg + 1 + states
local before = FIXED_KEYS + states

-- A key of the wrong type fails alone. After any other error of Redis the rankings are rebuilt.
local rebuild = 0
local function run(...)
    local reply = redis.pcall(...)
    if type(reply) == 'number' then return reply end
    if type(reply) == 'table' and not string.find(reply.err, '^WRONGTYPE') and not string.find(reply.err, '^INVALIDOBJ') then
        rebuild = 1
    end
    return 0
end

local commands, added = tonumber(ARGV[arg]), {} -- how many members each key has gained
arg = arg + 1
for _ = 1, commands do
    local index, count = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
    local reply = run(ARGV[arg], KEYS[before + index], unpack(ARGV, arg + 3, arg + 2 + count))
    if ARGV[arg] == 'ZADD' then added[index] = (added[index] or 0) + reply end
    arg = arg + 3 + count
end

local waiting = tonumber(ARGV[arg])
local function wait(key, due)
    if due ~= '0' then redis.pcall('ZADD', KEYS[before + waiting], due, key) end
end

local function cut(cutoffs, name, score, due)
    if redis.call('HSET', cutoffs, name, score) == 1 then wait(cutoffs, due) end
end

-- While the slot moves, a set that was emptied just now can't be asked any more.
local function is_moved(reply)
    return type(reply) == 'table' and not string.find(reply.err, '^WRONGTYPE')
end

local empty = {}
for i = 0, tonumber(ARGV[arg + 1]) - 1 do
    local at = arg + 2 + 6 * i
    local index, bound, name = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2]
    local cut_beyond, due = ARGV[at + 4], ARGV[at + 5]
    local key, cutoffs = KEYS[before + index], ARGV[at + 3] == '0' and KEYS[2] or KEYS[before + tonumber(ARGV[at + 3])]
    if cut_beyond ~= '' and type(redis.pcall('ZREMRANGEBYSCORE', key, '(' .. cut_beyond, '+inf')) == 'number' then
        cut(cutoffs, name, cut_beyond, due)
    end
    local size = redis.pcall('ZCARD', key)
    if due ~= '0' and (size == 0 or is_moved(size)) then empty[#empty + 1] = key end
    if type(size) == 'number' and bound > 0 then
        if size > 0 and size == added[index] then wait(key, due) end
        if size > 2 * bound then
            cut(cutoffs, name, redis.call('ZRANGE', key, bound, bound, 'WITHSCORES')[2], due)
            redis.call('ZREMRANGEBYRANK', key, bound, -1)
        elseif size * 2 < bound and redis.call('HEXISTS', cutoffs, name) == 1 then
            rebuild = 1
        end
    end
end
if #empty > 0 then redis.pcall('ZREM', KEYS[before + waiting], unpack(empty)) end
if rebuild == 1 then redis.pcall('HDEL', KEYS[3], 'plan') end
return {1, ARGV[2], rebuild}
