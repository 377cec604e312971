-- The peer "nginx with Lua": a vote is one call of the yardstick's script over a kept connection.
local redis = require 'nginx.redis'

local item = ngx.var.item
local link = redis:new()
local ok, problem = link:connect('unix:' .. ngx.var.redis)
if not ok then
    ngx.log(ngx.ERR, problem)
    return ngx.exit(503)
end
local up, failed = link:evalsha(ngx.var.sha, 4, 'v:' .. item, 'i:' .. item, 'hot', 'day',
    ngx.var.http_engaged_visitor, item, ngx.time())
if not up then
    ngx.log(ngx.ERR, failed)
    return ngx.exit(503)
end
link:set_keepalive(60000, 1024)
ngx.header['Content-Type'] = 'application/json'
ngx.print('{"item":"', item, '","votes":{"up":', up, '},"vote":"up"}')
