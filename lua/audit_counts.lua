-- Adds to the counts of calls with a key that have no entries of their own (store/audit_log.c). When the hash is full, the
-- count that has not changed for the longest time goes. The HDEL below removes nothing; after a write Redis lets a script
-- continue at the memory limit.
--
-- KEYS   hash of the site
-- ARGV   1 how many counts are kept, 2 from when on they are (ms), 3 for how long (ms; 0: for ever); then for each: its
--        field, how many calls, the times of the first and the last in ms
-- Reply  1

local key, most, from, kept = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HDEL', key, '')

local function numbers(text) -- anything else counts as nothing
    local count, first, last = string.match(text, '^(%d+) (%d+) (%d+)$')
    return tonumber(count or 0), tonumber(first), tonumber(last or 0)
end

local function remove_oldest()
    local held, oldest, when = redis.call('HGETALL', key), nil, nil
    for i = 1, #held, 2 do
        local _, _, last = numbers(held[i + 1])
        if not when or last < when then oldest, when = held[i], last end
    end
    redis.call('HDEL', key, oldest)
end

local function remove_old()
    local held = redis.call('HGETALL', key)
    for i = 1, #held, 2 do
        local _, _, last = numbers(held[i + 1])
        if last < from then redis.call('HDEL', key, held[i]) end
    end
end

if kept > 0 then remove_old() end
for at = 4, #ARGV, 4 do
    local held = redis.call('HGET', key, ARGV[at])
    if not held and redis.call('HLEN', key) >= most then remove_oldest() end
    local count, first, last = numbers(held or '')
    redis.call('HSET', key, ARGV[at], string.format('%.0f %.0f %.0f', count + tonumber(ARGV[at + 1]),
        first or tonumber(ARGV[at + 2]), math.max(last, tonumber(ARGV[at + 3]))))
end
if kept > 0 then redis.call('PEXPIRE', key, kept) else redis.call('PERSIST', key) end
return 1
