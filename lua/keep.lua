-- A field of a hash that must be set at the memory limit as well: a projection's position (what was accepted is projected,
-- and then its entries can be trimmed), the record of an erasure. Redis lets a script that has written go on at the
-- limit, if only to remove nothing.
--
-- KEYS   the hash
-- ARGV   1 field, 2 value
-- Reply  1 if the field is new, else 0

redis.call('HDEL', KEYS[1], '')
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
