-- include: may
-- Counts the views of one batch (store/view_writes.c): decides for each whether it is a repeat, and if not, logs it with the
-- items that its visitor read before.
-- A visitor has two histories: one of views that may be remembered, one of views in which the visitor asked not to be
-- followed. Each is one string: per view u64 item and f64 time in ms, latest first. Both hold every item of the present
-- view window, as an item in either does not count again; the first also holds the last KEPT items. One MGET reads them.
--
-- KEYS   a log, the items deleted lately (lua/gone.lua; both of one partition), then per view the history that it is added
--        to and the visitor's other history
-- ARGV   1 accept time in ms, 2 view window in ms, 3 how long a history is kept in ms, 4 most items in one window; then per
--        view: the item's name (text8 site, text16 id), and u8 flags (1 anonymous: kept for one window only; 2 alone: logged
--        without the items read before) followed by the beginning of its log record (src/model/entry.h: 'W', item,
--        visitor, time)
-- Reply  array: one byte per view in order: 0 a repeat, 1 counted, 2 over the most items, 3 data of a wrong type or corrupt;
--        then the id of the log entry, "" if nothing was counted

local KEPT, LOOKED_AT, RECENT, VIEW = 20, 16, 5, 16
local LEARNT, ANONYMOUS = 0, 1 -- no flag; the lowest bit
local RECORD, ITEM, ITEM_END, TIME, TIME_END = 2, 3, 10, 19, 26 -- bytes of a view's argument; flags are the first
local REPEAT, COUNTED, OVER, BROKEN = '\0', '\1', '\2', '\3'
local byte, sub, find, number, max = string.byte, string.sub, string.find, struct.unpack, math.max
local window, keep, most = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

-- MGET replies nil for a key of a wrong type, so those are asked for by EXISTS. The visitors' other histories are not
-- written, so their type does not matter.
local histories, absent, wrong_type, changed = {}, {}, {}, {}
for i, history in ipairs(redis.call('MGET', unpack(KEYS, 3))) do
    if history then
        histories[KEYS[2 + i]] = history
    elseif i % 2 == 1 then
        absent[#absent + 1] = KEYS[2 + i]
    end
end
if #absent > 0 and redis.call('EXISTS', unpack(absent)) > 0 then
    for _, key in ipairs(absent) do wrong_type[key] = redis.call('EXISTS', key) == 1 end
end

-- Whether the item was deleted between the two views: then the later view is of another item.
local function is_of_another(item, earlier, time)
    local deleted = redis.pcall('ZSCORE', KEYS[2], item)
    deleted = type(deleted) == 'string' and tonumber(deleted)
    return deleted and earlier <= deleted and time > deleted
end

local function is_repeat(history, item, time)
    local at = find(history, item, 1, true)
    while at do
        local earlier = at % VIEW == 1 and number('<d', history, at + 8)
        if earlier and math.abs(earlier - time) < window and not is_of_another(item, earlier, time) then return true end
        at = find(history, item, at + 1, true)
    end
    return false
end

-- How many bytes of the history stay: the views within the window that ends at `newest`, and at least `least` views.
local function kept(history, newest, least)
    local last = #history
    while last > least * VIEW and newest - number('<d', history, last - 7) >= window do last = last - VIEW end
    return last
end

-- Whether the window that ends with the newest view holds as many items as it may, and this view lies in it.
local function is_full(history, other, time)
    if #history + #other < most * VIEW then return false end
    local newest = time
    if history ~= '' then newest = max(newest, number('<d', history, 9)) end
    if other ~= '' then newest = max(newest, number('<d', other, 9)) end
    return newest - time < window and kept(history, newest, 0) + kept(other, newest, 0) >= most * VIEW
end

-- Where the first view begins that is not later than `time`.
local function place_of(history, time)
    local at = 1
    while at < #history and number('<d', history, at + 8) > time do at = at + VIEW end
    return at
end

-- The number of items read before `at`, then those items as the history has them, latest first, each once, without `item`.
local function recents(history, at, item)
    local seen, found, count = {[item] = true}, {}, 0
    local last = math.min(#history, at + LOOKED_AT * VIEW - 1)
    while at <= last and count < RECENT do
        local other = sub(history, at, at + 7)
        if not seen[other] then
            seen[other], count = true, count + 1
            found[count] = sub(history, at, at + VIEW - 1)
        end
        at = at + VIEW
    end
    return string.char(count) .. table.concat(found)
end

-- Returns the view's result and its log record.
local function take(key, other_key, name, data)
    local history, other = histories[key] or '', histories[other_key] or ''
    local item, flags = sub(data, ITEM, ITEM_END), byte(data)
    if wrong_type[key] or #history % VIEW + #other % VIEW ~= 0 then return BROKEN end
    local time = number('<d', data, TIME)
    if is_repeat(history, item, time) or other ~= '' and is_repeat(other, item, time) then return REPEAT end
    if is_full(history, other, time) then return OVER end
    local at = place_of(history, time)
    local before = flags == LEARNT and recents(history, at, item) or '\0'
    local newest = at == 1 and time or number('<d', history, 9)
    history = at == 1 and item .. sub(data, TIME, TIME_END) .. history
        or sub(history, 1, at - 1) .. item .. sub(data, TIME, TIME_END) .. sub(history, at)
    local anonymous = flags % 2 == ANONYMOUS
    histories[key] = sub(history, 1, kept(history, newest, anonymous and 0 or KEPT))
    changed[key] = anonymous and max(window, 1) or keep
    return COUNTED, sub(data, RECORD) .. name .. before
end

local results, records = {}, {struct.pack('<d', tonumber(ARGV[1]))}
redis.call('XLEN', KEYS[1])
may('XADD', KEYS[1], '*', '1', '')
for view = 1, #KEYS / 2 - 1 do
    local result, record = take(KEYS[2 * view + 1], KEYS[2 * view + 2], ARGV[3 + 2 * view], ARGV[4 + 2 * view])
    results[view], records[#records + 1] = result, record
end

for key, kept_ms in pairs(changed) do redis.call('SET', key, histories[key], 'PX', kept_ms) end
return {table.concat(results), #records > 1 and redis.call('XADD', KEYS[1], '*', '1', table.concat(records)) or ''}
