-- Removes the log entries that both projections have passed (store/logs.c). An offset counts only if it was reached in the
-- present lives (lua/open.lua): another may be ahead of the states in Redis. Offsets and log are read in the same instant.
-- Nothing is removed if the master has another life than the caller knows, as it may just have been restored.
--
-- KEYS   per partition: log, offsets
-- ARGV   1 hash of the present lives, 2 the master's life ("" if Redis does not tell it); then per partition the last id
--        that may go
-- Reply  how many entries were dropped

if ARGV[2] ~= '' then
    local info = redis.pcall('INFO', 'replication')
    local life = type(info) == 'string' and string.match(info, '\nmaster_replid:(%x+)')
    if life and life ~= ARGV[2] then return 0 end
end

-- nil if the offset is of other lives.
local function parts(offset)
    local ms, seq, lives = string.match(offset or '', '^(%d+)-(%d+) (%x+)$')
    if lives == ARGV[1] then return tonumber(ms), tonumber(seq) end
end

local dropped = 0
for i = 1, #KEYS, 2 do
    local offsets = redis.call('HMGET', KEYS[i + 1], 'sums', 'neighbours')
    local ms, seq = parts(offsets[1])
    local other_ms, other_seq = parts(offsets[2])
    local last_ms, last_seq = string.match(ARGV[2 + (i + 1) / 2], '^(%d+)-(%d+)$')
    last_ms, last_seq = tonumber(last_ms), tonumber(last_seq)
    if ms and other_ms then
        if other_ms < ms or (other_ms == ms and other_seq < seq) then ms, seq = other_ms, other_seq end
        if last_ms < ms or (last_ms == ms and last_seq < seq) then ms, seq = last_ms, last_seq end
        dropped = dropped + redis.call('XTRIM', KEYS[i], 'MINID', string.format('%.0f-%.0f', ms, seq + 1))
    end
end
return dropped
