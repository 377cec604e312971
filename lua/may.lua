-- For scripts that write several keys: raises an error if the user has no right to run the command. A script asks for all
-- its commands before its first write, so that a right that was taken away leaves nothing half done. A Redis before 7
-- can't tell.
local function may(...)
    if not redis.acl_check_cmd or redis.acl_check_cmd(...) then return end
    error({err = "NOPERM this user has no permissions to run the '" .. (...) .. "' command"})
end
