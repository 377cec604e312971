-- A projection's position in a log (store/logs.c). It is written at the memory limit too: what was accepted is projected,
-- and then its entries can be trimmed. Redis lets a script that has written go on at the limit, if only to remove nothing.
--
-- KEYS   positions of the partition
-- ARGV   1 field, 2 position

redis.call('HDEL', KEYS[1], '')
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
