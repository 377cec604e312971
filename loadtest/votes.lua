-- wrk: votes by many visitors over many items, spread evenly. Environment: TOKENS (a file of `engaged tokens`), ITEMS.
local tokens = {}
for line in io.lines(os.getenv('TOKENS')) do tokens[#tokens + 1] = line end
local items = tonumber(os.getenv('ITEMS'))
math.randomseed(1)
function request()
    return wrk.format('POST', '/v1/load/items/i' .. math.random(items) .. '/votes',
        {['Engaged-Visitor'] = tokens[math.random(#tokens)]})
end
