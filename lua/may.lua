-- Part of scripts that write several keys: may this user of Redis run the command (ACL)? A script asks before its first
-- write, so that a right that was taken away leaves nothing half done. A Redis before 7 cannot tell.
local function may(...)
    if not redis.acl_check_cmd or redis.acl_check_cmd(...) then return end
    error({err = "NOPERM this user has no permissions to run the '" .. (...) .. "' command"})
end
