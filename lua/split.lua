-- include: may
-- include: item
-- Splits one bucket of an item's voters (linear hashing: src/model/voters.h). The first split moves the voters out of the
-- item.
--
-- KEYS   item, bucket that is split, new bucket (the same when it is the first)
-- ARGV   1 buckets now, 2 modulus, 3 number of the new bucket
-- Reply  buckets after the split; the present number if another call has split already

local items = item_module()
local packed = redis.call('GET', KEYS[1])
local item = packed and items.open(packed, 0)
if not item or item.buckets ~= tonumber(ARGV[1]) then return item and item.buckets or 0 end
local modulus, target = tonumber(ARGV[2]), tonumber(ARGV[3])
local moved, gone = {}, {}

-- Whether a voter moves to the new bucket. The modulus is a power of two, at most 65,536, so two bytes of the reference
-- decide.
local function moves(voter)
    local low, high = string.byte(voter, 1, 2)
    return (low + 256 * high) % modulus == target
end

local function in_runs(command, key, arguments)
    for i = 1, #arguments, 1000 do redis.call(command, key, unpack(arguments, i, math.min(i + 999, #arguments))) end
end

may('SET', KEYS[1], '')
may('HDEL', KEYS[2], '')

-- The new bucket is written first and the voters leave the old one last: while a Cluster moves the slot, a bucket that was
-- emptied is gone and can't be written.
if item.buckets == 0 then
    moved, item.voters = items.voters(item), ''
else
    local voters = redis.call('HGETALL', KEYS[2])
    for i = 1, #voters, 2 do
        if moves(voters[i]) then
            moved[#moved + 1], moved[#moved + 2] = voters[i], voters[i + 1]
            gone[#gone + 1] = voters[i]
        end
    end
end
in_runs('HSET', KEYS[3], moved)
item.buckets = item.buckets + 1
redis.call('SET', KEYS[1], items.pack(item))
in_runs('HDEL', KEYS[2], gone)

-- Redis never returns a hash to the compact encoding by itself: DUMP and RESTORE do. If they are refused only memory is
-- lost.
if redis.pcall('OBJECT', 'ENCODING', KEYS[2]) == 'hashtable' then
    local whole = redis.pcall('DUMP', KEYS[2])
    if type(whole) == 'string' then redis.pcall('RESTORE', KEYS[2], 0, whole, 'REPLACE') end
end
return item.buckets
