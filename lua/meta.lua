-- include: may
-- Records at the first start how the data is made, and compares it at every later start (store/handshake.c). Tools, and
-- processes that have not taken over yet, only compare. A record that somebody has deleted comes back from its copy.
--
-- Fewer kinds than the data has are taken in two cases only, in which another machine has just added some: while a machine
-- that knows them all is there, and of a machine that is in the list with the kinds that it has.
--
-- KEYS   engaged:meta, its copy, the machines (lua/machines.lua)
-- ARGV   1 format, 2 partitions, 3 fingerprint of the hash key, 4 kinds of vote (new ones may only be added at the end),
--        5 time zone, 6 "record" or "", 7 "accept" (another time zone) or "", 8 the time in s, 9 to 11 era, since and days-since
--        that the caller knows, or "", 12 how many kinds it knows, 13 the machine's instance, 14 the time in ms,
--        15 fingerprint of its secret, 16 of the secret before, or ""
-- Reply  array: "", era (how often another time zone was accepted), since (from when on the data has series, in s),
--        days-since (from when on it has those of days, in s), the data's kinds if the caller knows fewer, "secret" if another
--        one signed the tokens so far; or one line that says what differs

may('HSET', KEYS[2], '', '')

-- The oldest format that this program still reads. It writes the present format only.
local OLDEST = 2

local FIELDS = {'format', 'partitions', 'hash-key', 'kinds', 'time-zone', 'era', 'since', 'days-since', 'secret'}
-- Whether a machine that is there knows so many kinds.
local function is_known(count)
    for i, record in ipairs(redis.call('HGETALL', KEYS[3])) do
        local at, kinds = string.match(record, '^(%d+) %d+ %x+ %x+ (%d+) ')
        if at and tonumber(kinds) >= count and math.abs(tonumber(ARGV[14]) - at) < 60000 then return true end
    end
    local own = redis.call('HGET', KEYS[3], ARGV[13]) or ''
    return string.match(own, '^%d+ %d+ %x+ %x+ (%d+) ') == ARGV[12]
end

local kinds, more = ARGV[4], ''
local held = redis.call('HMGET', KEYS[1], unpack(FIELDS))
if not held[1] then held = redis.call('HMGET', KEYS[2], unpack(FIELDS)) end
if held[1] then
    local known = held[4] .. ' '
    local format, newest = tonumber(held[1]) or 0, tonumber(ARGV[1])
    local reads = ', this program reads ' .. OLDEST .. ' to ' .. ARGV[1]
    if format > newest then return {'the data has format ' .. held[1] .. ' of a newer program' .. reads} end
    if format < OLDEST or format % 1 ~= 0 then
        return {'the data has format ' .. held[1] .. reads .. ': take it over with the export of the program that wrote it'}
    end
    if held[2] ~= ARGV[2] then return {'partitions: the data has ' .. held[2] .. ', the setting says ' .. ARGV[2]} end
    if held[3] ~= ARGV[3] then return {'hash_key: not the key that the data was made with'} end
    local adds, fewer = string.sub(kinds .. ' ', 1, #known) == known, string.sub(known, 1, #kinds + 1) == kinds .. ' '
    local _, count = string.gsub(known, ' ', '')
    if not adds and fewer and is_known(count) then
        kinds, more = held[4], held[4]
    elseif not adds then
        return {'kinds: the data has "' .. held[4] .. '", new ones may only be added behind these'}
    end
end

local zone, now = ARGV[5], ARGV[8]
local function number(at, begin) -- what Redis holds, else what the caller knows, else how it begins
    return tonumber(held[at] or ARGV[3 + at] ~= '' and ARGV[3 + at] or begin)
end
-- Data without series is of an older program, which may still project for some seconds: it is counted in a minute.
local era, since, days_since = number(6, 0), number(7, held[1] and now + 60 or 0), number(8, 0)
if held[5] and held[5] ~= zone then
    if ARGV[7] == '' then
        return {'time_zone: the days of the data are those of ' .. held[5] .. ', the setting says ' .. zone ..
            ': a start with --accept-time-zone begins days, weeks and months again'}
    end
    era, days_since = (era + 1) % 255, now
end
if ARGV[6] ~= '' then
    redis.call('HDEL', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
    for i = 1, 2 do
        redis.call('HSET', KEYS[i], 'format', ARGV[1], 'partitions', ARGV[2], 'hash-key', ARGV[3], 'kinds', kinds,
            'time-zone', zone, 'era', era, 'since', since, 'days-since', days_since, 'secret', ARGV[15])
    end
end
local other = held[9] and held[9] ~= ARGV[15] and held[9] ~= ARGV[16]
return {'', era, since, tonumber(days_since), more, other and 'secret' or ''}
