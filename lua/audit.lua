-- include: may
-- Adds an entry to a site's audit log, in place of an earlier one of the same call if there is one (store/audit_log.c). The XTRIM
-- that makes room for it comes first; after a write Redis lets a script continue at the memory limit.
--
-- KEYS   stream of the site
-- ARGV   1 how many entries are kept, 2 id of the entry that goes ("": none), 3 the entry
-- Reply  its id

local key, most, old = KEYS[1], tonumber(ARGV[1]), ARGV[2]
if old ~= '' then may('XDEL', key, old) end
may('XADD', key, '*', 'j', '')
redis.call('XTRIM', key, 'MAXLEN', most)
if old ~= '' then redis.call('XDEL', key, old) end
return redis.call('XADD', key, 'MAXLEN', most, '*', 'j', ARGV[3])
