-- include: item
-- Reads the voters of one bucket of an item, with the present number of buckets (store/correction_records.c).
--
-- KEYS   item, bucket
-- ARGV   1 number of the bucket
-- Reply  array: buckets (0: all voters are in the item, and are returned for bucket 0), then voter, vote, …

local items = item_module()
local packed = redis.call('GET', KEYS[1])
local item = packed and items.open(packed, 0)
if not item then return {0} end
local reply = {item.buckets}
if item.buckets > 0 then
    for _, part in ipairs(redis.call('HGETALL', KEYS[2])) do reply[#reply + 1] = part end
elseif ARGV[1] == '0' then
    for _, part in ipairs(items.voters(item)) do reply[#reply + 1] = part end
end
return reply
