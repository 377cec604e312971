-- Writes and removes records of corrections, and counts the waiting ones of each site (store/correction_records.c).
-- The HDEL below removes nothing; after a write Redis lets a script continue at the memory limit, so that an erasure is
-- accepted then too.
--
-- KEYS   hash of the corrections that wait, or of those that are done
-- ARGV   1 how many of one site may wait (0: no bound); then per record: its id, its text ("" removes it), the site that
--        it is counted for ("": none)
-- Reply  1 written, 0 too many of a site wait: nothing is written

local key, most = KEYS[1], tonumber(ARGV[1])
redis.call('HDEL', key, '')

local function waiting(site) return tonumber(redis.call('HGET', key, 'waiting ' .. site) or 0) end

for at = 2, #ARGV, 3 do
    local id, text, site = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local adds = most > 0 and text ~= '' and site ~= '' and redis.call('HEXISTS', key, id) == 0
    if adds and waiting(site) >= most then return 0 end
end
for at = 2, #ARGV, 3 do
    local id, text, site = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local added = text ~= '' and redis.call('HSET', key, id, text) or -redis.call('HDEL', key, id)
    if site ~= '' and added ~= 0 then
        local count = waiting(site) + added
        if count > 0 then redis.call('HSET', key, 'waiting ' .. site, count)
        else redis.call('HDEL', key, 'waiting ' .. site) end
    end
end
return 1
