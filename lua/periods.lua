-- include: may
-- Cuts and removes sets of rankings by period whose time has come (store/period_sets.c).
--
-- They were ended up to an instant, which is recorded. If the clock is before it, it has come back from a jump: what was
-- removed then is missing, so the partition loses its plan and is rebuilt.
--
-- KEYS   sets and cutoffs of periods that wait, applied ids of the sums, offsets; then of each that is due: its key, the
--        key of its cutoffs
-- ARGV   1 next version of the sums, 2 the time in ms; then of each: what becomes of it ("keep", "cut", "remove", or
--        "forget" what is no key of ours), when it is due again, its name among the cutoffs, its bound
-- Reply  1 if the partition has lost its plan, else 0

may('HSET', KEYS[2], '', '')
may('ZADD', KEYS[1], '0', '')
may('ZREM', KEYS[1], '')
may('UNLINK', KEYS[2])
may('ZREMRANGEBYRANK', KEYS[1], '0', '0')
may('HSET', KEYS[3], '', '')
redis.call('HDEL', KEYS[2], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
if #KEYS > 3 then redis.call('HSET', KEYS[2], 'version', ARGV[1]) end

local A_CLOCKS_ERROR = 60000
local ended, lost = tonumber(redis.call('HGET', KEYS[3], 'ended') or 0), 0
if ended > tonumber(ARGV[2]) + A_CLOCKS_ERROR then lost = redis.call('HDEL', KEYS[3], 'plan') end
redis.call('HSET', KEYS[3], 'ended', ARGV[2])

local gone = {}
for i = 4, #KEYS, 2 do
    local key, cutoffs, at = KEYS[i], KEYS[i + 1], 2 * i - 5
    local action, due, bound = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
    local size = action == 'cut' and redis.pcall('ZCARD', key)
    if type(size) == 'number' and size > bound then
        local cut = redis.call('ZRANGE', key, bound, bound, 'WITHSCORES')[2]
        if redis.call('HSET', cutoffs, ARGV[at + 2], cut) == 1 then redis.call('ZADD', KEYS[1], due, cutoffs) end
        redis.call('ZREMRANGEBYRANK', key, bound, -1)
    end
    if action == 'keep' or action == 'cut' then
        redis.call('ZADD', KEYS[1], due, key)
    else
        gone[#gone + 1] = key
    end
    if action == 'remove' then redis.call('UNLINK', key) end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return lost
