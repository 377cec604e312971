-- Remembers for one view window when an item was deleted, so that a view after the deletion is no repeat of one before it
-- (lua/view.lua). Every partition has a copy, as a view asks the partition of its log.
--
-- KEYS   deleted items of the partition
-- ARGV   1 the item's reference (8 bytes), 2 when the deletion was asked for (ms), 3 view window in ms, 4 how many are kept
-- Reply  1

redis.call('ZREM', KEYS[1], '') -- removes nothing; after a write Redis lets a script continue at the memory limit
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', tonumber(ARGV[2]) - tonumber(ARGV[3])))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[4] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
