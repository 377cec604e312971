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
--        number of rankings, then of each: key (counted likewise), bound, its name among the cutoffs, and a cutoff: members
--        with a worse score are removed, as candidates better than they were not sent ("": all were sent)
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
    if type(reply) == 'table' and not string.find(reply.err, '^WRONGTYPE') and not string.find(reply.err, '^INVALIDOBJ') then
        rebuild = 1
    end
end

local commands = tonumber(ARGV[arg])
arg = arg + 1
for _ = 1, commands do
    local count = tonumber(ARGV[arg + 2])
    run(ARGV[arg], KEYS[before + tonumber(ARGV[arg + 1])], unpack(ARGV, arg + 3, arg + 2 + count))
    arg = arg + 3 + count
end

for _ = 1, tonumber(ARGV[arg]) do
    local key, bound, name = KEYS[before + tonumber(ARGV[arg + 1])], tonumber(ARGV[arg + 2]), ARGV[arg + 3]
    local cut_beyond = ARGV[arg + 4]
    if cut_beyond ~= '' and type(redis.pcall('ZREMRANGEBYSCORE', key, '(' .. cut_beyond, '+inf')) == 'number' then
        redis.call('HSET', KEYS[2], name, cut_beyond)
    end
    local size = redis.pcall('ZCARD', key)
    if type(size) == 'number' then
        if size > 2 * bound then
            redis.call('ZREMRANGEBYRANK', key, bound, -1)
            local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
            redis.call('HSET', KEYS[2], name, last[2])
        elseif size * 2 < bound and redis.call('HEXISTS', KEYS[2], name) == 1 then
            rebuild = 1
        end
    end
    arg = arg + 4
end
if rebuild == 1 then redis.pcall('HDEL', KEYS[3], 'plan') end
return {1, ARGV[2], rebuild}
