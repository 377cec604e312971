-- include: may
-- include: item
-- Imports an item: its card, and the counts of its views (store/import_write.c). Values are set, not added, so a repeated
-- import changes nothing. Everything that was acknowledged before is projected by now. The sums are written here, so that
-- a later view adds to them, whatever log it is in.
--
-- KEYS   item, card, log, version of the sums, newest cards of the site in this partition, unique visitors, sums,
--        tombstones of format 2 (no longer needed, as everything before is projected), offsets
-- ARGV   1 accept time in ms, 2 number of kinds, 3 id, 4 name (text8 site, text16 id), 5 reference (8 bytes), 6 card,
--        7 groups, 8 published (ms), 9 base, 10 newest cards to keep, 11 "1" if there is a card,
--        12 unique visitors (HyperLogLog) or "" for none, 13 next version of the sums, 14 the sums that were read, 15 the
--        new sums or "" for none, 16 field of the site's gap, 17 from when on the item's hours and days are known (ms), or
--        "" if they are as the data's
-- Reply  array: status (0 done, 2 retry with these sums, 3 another item has the reference), id of the log entry or the sums

for i, command in ipairs({'STRLEN', 'STRLEN', 'XLEN', 'HLEN', 'ZCARD', 'STRLEN', 'STRLEN', 'ZCARD', 'HLEN'}) do
    redis.call(command, KEYS[i])
end

local function text16(text)
    return struct.pack('<I2', #text) .. text
end

local function set_or_remove(key, value)
    if value == '' then redis.call('UNLINK', key) else redis.call('SET', key, value) end
end

local items = item_module()
local packed, kinds, name = redis.call('GET', KEYS[1]), tonumber(ARGV[2]), ARGV[4]
local item = packed and assert(items.open(packed, kinds)) or items.new(name, kinds)
if not items.is_named(item, name) then return {3, ''} end
local sums = redis.call('GET', KEYS[7]) or ''
if sums ~= ARGV[14] then return {2, sums} end

may('ZADD', KEYS[5], '1', '')
may('ZREMRANGEBYRANK', KEYS[5], '0', '0')
may('UNLINK', KEYS[7])
may('ZREM', KEYS[8], '')
may('HSET', KEYS[4], '', '')
may('XADD', KEYS[3], '*', '1', '')
local _, base, groups = items.split_meta(item.meta)
local has_card, record = ARGV[11] == '1', ''
items.set_meta(item, name, ARGV[9] == '' and base or ARGV[9], has_card and ARGV[7] or groups)
if has_card then item.published, item.has_card = tonumber(ARGV[8]), true end
redis.call('SET', KEYS[1], items.pack(item))
if has_card then
    redis.call('SET', KEYS[2], ARGV[6])
    if item.published ~= 0 then
        redis.call('ZADD', KEYS[5], string.format('%.0f', -item.published), ARGV[3])
    else
        redis.call('ZADD', KEYS[5], 'NX', '-' .. ARGV[1], ARGV[3])
    end
    redis.call('ZREMRANGEBYRANK', KEYS[5], ARGV[10], -1)
    record = 'C' .. ARGV[5] .. text16(groups)
end
set_or_remove(KEYS[7], ARGV[15])
set_or_remove(KEYS[6], ARGV[12])
redis.call('ZREM', KEYS[8], ARGV[5])
redis.call('HSET', KEYS[4], 'version', ARGV[13])
if ARGV[17] ~= '' and tonumber(redis.call('HGET', KEYS[9], ARGV[16]) or 0) < tonumber(ARGV[17]) then
    redis.call('HSET', KEYS[9], ARGV[16], ARGV[17])
end
record = record .. 'S' .. ARGV[5] .. name .. text16(sums) .. text16(ARGV[15])
return {0, redis.call('XADD', KEYS[3], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. record)}
