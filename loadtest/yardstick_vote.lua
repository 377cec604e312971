-- The yardstick's vote, one a call, as one would write it by hand: has this visitor voted, count, two decayed rankings.
-- No log, no time or kind of a vote (so no undo by weight), rankings without bound, no check of the visitor.
--
-- KEYS  item's voters, item, ranking of a 3 h half-life, ranking of 24 h
-- ARGV  visitor, item, time in seconds
-- Reply the item's count
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[3]) == 0 then return tonumber(redis.call('HGET', KEYS[2], 'up')) end
local count = redis.call('HINCRBY', KEYS[2], 'up', 1)
local since = tonumber(ARGV[3]) - 1704067200
for ranking, half_life in ipairs({10800, 86400}) do
    local added, held = since / half_life, redis.call('ZSCORE', KEYS[2 + ranking], ARGV[2])
    local sum = tonumber(held) or added
    if held then sum = math.max(sum, added) + math.log(1 + 2 ^ -math.abs(sum - added)) / math.log(2) end
    redis.call('ZADD', KEYS[2 + ranking], string.format('%.17g', sum), ARGV[2])
end
return count
