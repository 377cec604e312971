-- include: may
-- include: item
-- Stores an item's card (store/items.c). If it is the item's first card, or if its categories, its author or its time of
-- publication changed, a record in the log has the projector rank the item again.
--
-- KEYS   item, card, log, version of the sums, newest cards of the site in this partition
-- ARGV   1 accept time in ms, 2 number of kinds, 3 id, 4 name (text8 site, text16 id), 5 reference (8 bytes), 6 card,
--        7 groups (src/model/item.h), 8 published (ms), 9 base ("views votes votes …", or "" to keep the present one),
--        10 newest cards to keep, 11 next version of the sums
-- Reply  array: status (0 new, 1 existed, 3 another item has the reference), id of the log entry or ""

for i, command in ipairs({'STRLEN', 'STRLEN', 'XLEN', 'HLEN', 'ZCARD'}) do redis.call(command, KEYS[i]) end
local items = item_module()
local packed, kinds, name = redis.call('GET', KEYS[1]), tonumber(ARGV[2]), ARGV[4]
local item = packed and assert(items.open(packed, kinds)) or items.new(name, kinds)
if not items.is_named(item, name) then return {3, ''} end
may('ZADD', KEYS[5], '1', '')
may('ZREMRANGEBYRANK', KEYS[5], '0', '0')
may('HSET', KEYS[4], '', '')
may('XADD', KEYS[3], '*', '1', '')
local _, base, groups = items.split_meta(item.meta)
local published, had_card = item.published, item.has_card
items.set_meta(item, name, ARGV[9] == '' and base or ARGV[9], ARGV[7])
item.published, item.has_card = tonumber(ARGV[8]), true
redis.call('MSET', KEYS[1], items.pack(item), KEYS[2], ARGV[6])
if item.published ~= 0 then
    redis.call('ZADD', KEYS[5], string.format('%.0f', -item.published), ARGV[3])
else
    redis.call('ZADD', KEYS[5], 'NX', '-' .. ARGV[1], ARGV[3])
end
redis.call('ZREMRANGEBYRANK', KEYS[5], ARGV[10], -1)
local entry = ''
if not had_card or groups ~= ARGV[7] or published ~= item.published then
    local record = 'C' .. ARGV[5] .. struct.pack('<I2', #groups) .. groups
    if groups ~= '' and groups ~= ARGV[7] then -- names the item, which may be deleted before this is projected
        record = record .. 'S' .. ARGV[5] .. name .. struct.pack('<I2I2', 0, 0)
    end
    redis.call('HSET', KEYS[4], 'version', ARGV[11])
    entry = redis.call('XADD', KEYS[3], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. record)
end
return {packed and 1 or 0, entry}
