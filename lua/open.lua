-- Opens logs under the present life of their Redis (store/open.c). A life is the time in which one master runs without
-- interruption. A restart, a failover and a restore begin another life, which may have lost entries of the one before. So
-- the first id of a life is ahead of the clock and above every id of the lives before: a new entry never has the id of one
-- that was projected.
--
-- KEYS   per partition: log, offsets
-- ARGV   1 life: the master's replication id. With "?" at its end it is the caller's belief, and the id that Redis tells
--        counts: a replica that has just been promoted has another one. 2 the least time of a life's first id, in ms; then
--        nothing, or one per partition: an id that its log must have passed ("": none), and then "+" if the log must not be
--        empty, so that an offset that is not valid has an entry to reach
-- Reply  array: how many logs were opened, how many of them because of that id, digest of all lives; of one log its life

local FLUSH = string.rep('\0', 8) .. 'F' -- src/model/entry.h
local life, begin = ARGV[1], tonumber(ARGV[2])
if string.sub(life, -1) == '?' then
    local info = redis.pcall('INFO', 'replication')
    life = type(info) == 'string' and string.match(info, '\nmaster_replid:(%x+)') or string.sub(life, 1, -2)
end

local function parts(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms or 0), tonumber(seq or 0)
end

local function is_above(a, b)
    local a_ms, a_seq = parts(a)
    local b_ms, b_seq = parts(b)
    return a_ms > b_ms or (a_ms == b_ms and a_seq > b_seq)
end

-- '0-0' if the log has none.
local function last_id(log)
    local info = redis.pcall('XINFO', 'STREAM', log)
    for at = 1, #info, 2 do
        if info[at] == 'last-generated-id' then return info[at + 1] end
    end
    return '0-0'
end

local opened, behind, lives = 0, 0, {}
for i = 1, #KEYS, 2 do
    local log, offsets = KEYS[i], KEYS[i + 1]
    local passed, wants_entry = string.match(ARGV[2 + (i + 1) / 2] or '', '^([^+]*)(%+?)')
    local held = redis.pcall('HGET', offsets, 'life')
    local is_wrong_type = type(held) == 'table'
    local is_open = not is_wrong_type and held and string.match(held, '^[^:]*') == life
    local is_behind = not is_wrong_type and passed ~= '' and is_above(passed, last_id(log))
    if not is_wrong_type and (not is_open or is_behind) then
        redis.call('HDEL', offsets, '') -- removes nothing; after a write Redis lets a script continue at the memory limit
        local ms = string.format('%.0f', math.max(begin, (parts(last_id(log))) + 1, (parts(passed)) + 1))
        if type(redis.pcall('XADD', log, ms .. '-0', '1', FLUSH)) == 'string' then
            held = life .. ':' .. ms
            redis.call('HSET', offsets, 'life', held)
            opened, behind = opened + 1, behind + (is_behind and 1 or 0)
        end
    elseif wants_entry ~= '' and redis.pcall('XLEN', log) == 0 then
        redis.call('HDEL', offsets, '')
        redis.call('XADD', log, '*', '1', FLUSH)
    end
    lives[#lives + 1] = not is_wrong_type and held or ''
end
return {opened, behind, #lives == 1 and lives[1] or redis.sha1hex(table.concat(lives, ' '))}
