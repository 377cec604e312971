-- include: item
-- An item from an export: its card and what was counted of its views (store/transfer.c). Set, not added: again is fine.
--
-- KEYS   item, card, log, version of the sums, newest cards of the site in this partition, unique visitors
-- ARGV   1 accept time in ms, 2 number of kinds, 3 id, 4 name (text8 site, text16 id), 5 reference (8 bytes), 6 card,
--        7 categories, 8 published (ms), 9 base, 10 newest cards to keep, 11 "1" if there is a card,
--        12 unique visitors (HyperLogLog) or "", 13 views (packed sums)
-- Reply  array: status (0 done, 3 another item's reference, 4 the unique visitors are not usable), id of the log entry

for i, command in ipairs({'STRLEN', 'STRLEN', 'XLEN', 'HLEN', 'ZCARD'}) do redis.call(command, KEYS[i]) end
local items = item_module()
local packed, kinds, name = redis.call('GET', KEYS[1]), tonumber(ARGV[2]), ARGV[4]
local item = packed and assert(items.open(packed, kinds)) or items.new(name, kinds)
if not items.is_named(item, name) then return {3, ''} end
if ARGV[12] ~= '' then
    local before = redis.call('GET', KEYS[6])
    redis.call('SET', KEYS[6], ARGV[12])
    if type(redis.pcall('PFCOUNT', KEYS[6])) ~= 'number' then
        if before then redis.call('SET', KEYS[6], before) else redis.call('DEL', KEYS[6]) end
        return {4, ''}
    end
end
local _, base, categories = items.split_meta(item.meta)
local has_card, record = ARGV[11] == '1', ''
items.set_meta(item, name, ARGV[9] == '' and base or ARGV[9], has_card and ARGV[7] or categories)
if has_card then
    item.published, item.has_card = tonumber(ARGV[8]), true
    redis.call('SET', KEYS[2], ARGV[6])
    redis.call('ZADD', KEYS[5], '-' .. (item.published > 0 and ARGV[8] or ARGV[1]), ARGV[3])
    redis.call('ZREMRANGEBYRANK', KEYS[5], ARGV[10], -1)
    record = 'C' .. ARGV[5] .. struct.pack('<I2', #categories) .. categories
end
redis.call('SET', KEYS[1], items.pack(item))
redis.call('HINCRBY', KEYS[4], 'version', 1)
record = record .. 'I' .. ARGV[5] .. name .. struct.pack('<I2', #ARGV[13]) .. ARGV[13]
return {0, redis.call('XADD', KEYS[3], '*', '1', struct.pack('<d', tonumber(ARGV[1])) .. record)}
