-- Views of one batch: is each a repeat, and if not, what had its visitor read before (store/views.c).
--
-- KEYS   per group (one partition): its log, then per view: the visitor's history
-- ARGV   1 accept time in ms, 2 view window in ms, 3 how long a history is kept in ms, then per group: number of views,
--        then per view: "1" if anonymous (kept for one window only, nothing learnt), item (8 bytes), visitor (8 bytes),
--        time in ms, site, id
-- Reply  array: one byte per view in order: 0 a repeat, 1 counted, 2 foreign data; then per group the id of its log
--        entry, "" when nothing was counted

local KEPT, LOOKED_AT, RECENT, RECENT_AGE = 32, 16, 5, 3 * 86400 * 1000
local window, keep = tonumber(ARGV[2]), ARGV[3]
local REPEAT, COUNTED, BROKEN = '\0', '\1', '\2'

-- The last items read not later than `time`, each once, latest first: packed, with their ages; and how many. The item
-- itself is left out.
local function recents(history, time, item)
    local seen, packed, count = {[item] = true}, {}, 0
    local members = redis.call('ZREVRANGEBYSCORE', history, time, time - RECENT_AGE, 'LIMIT', 0, LOOKED_AT)
    for _, member in ipairs(members) do
        local other = string.sub(member, 1, 8)
        if count < RECENT and not seen[other] then
            seen[other], count = true, count + 1
            packed[count] = other .. struct.pack('<I4', time - struct.unpack('<d', string.sub(member, 9)))
        end
    end
    return string.char(count) .. table.concat(packed)
end

-- Returns what became of it, and its log record.
local function take(history, anonymous, item, visitor, time, site, id)
    local near = redis.pcall('ZRANGEBYSCORE', history, '(' .. string.format('%.0f', time - window),
        '(' .. string.format('%.0f', time + window))
    if near.err then return BROKEN end
    for _, member in ipairs(near) do
        if string.sub(member, 1, 8) == item then return REPEAT end
    end
    local packed_time = struct.pack('<d', time)
    local before = anonymous and '\0' or recents(history, time, item)
    redis.call('ZADD', history, string.format('%.0f', time), item .. packed_time)
    redis.call('ZREMRANGEBYRANK', history, 0, -KEPT - 1)
    redis.call('PEXPIRE', history, anonymous and math.max(window, 1) or keep)
    return COUNTED, 'W' .. item .. visitor .. packed_time .. string.char(#site) .. site
        .. struct.pack('<I2', #id) .. id .. before
end

local results, reply = {}, {''}
local key, arg = 1, 4
while key <= #KEYS do
    local log, count, records = KEYS[key], tonumber(ARGV[arg]), {}
    redis.call('XLEN', log)
    key, arg = key + 1, arg + 1
    for _ = 1, count do
        local result, record = take(KEYS[key], ARGV[arg] == '1', ARGV[arg + 1], ARGV[arg + 2],
            tonumber(ARGV[arg + 3]), ARGV[arg + 4], ARGV[arg + 5])
        results[#results + 1], records[#records + 1] = result, record
        key, arg = key + 1, arg + 6
    end
    reply[#reply + 1] = #records > 0
        and redis.call('XADD', log, '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. table.concat(records)) or ''
end
reply[1] = table.concat(results)
return reply
