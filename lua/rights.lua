-- Says which of the service's commands Redis would refuse to this user (ACL), or does not know because they are renamed
-- (store/rights.c). It runs none of them and writes nothing to the ACL log.
--
-- KEYS   none: EVALSHA would be refused for keys that are not ours to use
-- ARGV   commands with their arguments, each joined by spaces
-- Reply  array: number (from 1) of each that would be refused; nil where Redis can't tell (before 7)

if not redis.acl_check_cmd then return false end
local refused = {}
for number, text in ipairs(ARGV) do
    local command = {}
    for word in string.gmatch(text, '%S+') do command[#command + 1] = word end
    local known, may = pcall(redis.acl_check_cmd, unpack(command))
    if not known or not may then refused[#refused + 1] = number end
end
return refused
