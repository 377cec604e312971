-- The yardstick's vote, one a call: has this visitor voted, count, two decayed rankings.
-- KEYS item's voters, item, ranking, ranking; ARGV visitor, item; Reply the count
if redis.call('HSETNX', KEYS[1], ARGV[1], 1) == 0 then return redis.call('HGET', KEYS[2], 'up') end
local count = redis.call('HINCRBY', KEYS[2], 'up', 1)
redis.call('ZINCRBY', KEYS[3], 1.5, ARGV[2])
redis.call('ZINCRBY', KEYS[4], 1.25, ARGV[2])
return count
