-- Tells which commands Redis would refuse to this user or does not know, as they were renamed (store/rights.c). No command
-- is run, and nothing is written to the ACL log.
--
-- KEYS   none: Redis would refuse EVALSHA for keys that the user has no right to
-- ARGV   commands with their arguments, each joined by spaces
-- Reply  array: number (from 1) of each command that would be refused; nil if Redis can't tell (before 7)

if not redis.acl_check_cmd then return false end
local refused = {}
for number, text in ipairs(ARGV) do
    local command = {}
    for word in string.gmatch(text, '%S+') do command[#command + 1] = word end
    local known, may = pcall(redis.acl_check_cmd, unpack(command))
    if not known or not may then refused[#refused + 1] = number end
end
return refused
