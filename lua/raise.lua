-- Raises a log's next id above every mark that is stored for it (store/greeting.c). After a failover or a restore the
-- marks may be ahead of the log, when this Redis's clock is behind: what came next would be taken as projected already.
--
-- KEYS   per partition: its log; then per partition: the marks of both projections
-- ARGV   1 number of partitions
-- Reply  how many logs were raised

local function parts(id)
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(ms or 0), tonumber(seq or 0)
end

local function is_above(a, b)
    local a_ms, a_seq = parts(a)
    local b_ms, b_seq = parts(b)
    return a_ms > b_ms or (a_ms == b_ms and a_seq > b_seq)
end

local partitions = tonumber(ARGV[1])
local highest = {}
for i = partitions + 1, #KEYS do
    local marks = redis.pcall('HGETALL', KEYS[i])
    for at = 1, #marks, 2 do
        local source = tonumber(marks[at])
        if source and (not highest[source] or is_above(marks[at + 1], highest[source])) then
            highest[source] = marks[at + 1]
        end
    end
end

local raised = 0
for source, mark in pairs(highest) do
    local log = KEYS[source + 1]
    local info = log and redis.pcall('XINFO', 'STREAM', log)
    local last = '0-0'
    if info and not info.err then
        for at = 1, #info, 2 do
            if info[at] == 'last-generated-id' then last = info[at + 1] end
        end
    end
    if log and is_above(mark, last) then
        redis.pcall('XGROUP', 'CREATE', log, 'raised', '0', 'MKSTREAM')
        redis.pcall('XGROUP', 'DESTROY', log, 'raised')
        local done = redis.pcall('XSETID', log, mark)
        if not done.err then raised = raised + 1 end
    end
end
return raised
