-- wrk: all kinds of traffic. A kind of work is one function of `works` that gives one request.
-- Environment: WORK (a key of `works`), LAW (uniform, or zipf: the law of exponent 1), ITEMS (how many), TOKENS (a file of
-- visitors, one a line), TARGET (path of a read), DEPTH (requests in one write), SHA (of the yardstick's script, for
-- webdis). Prints one line of JSON at the end.
local items, depth = tonumber(os.getenv('ITEMS') or 1), tonumber(os.getenv('DEPTH') or 1)
local target, sha = os.getenv('TARGET') or '/', os.getenv('SHA')
local random, floor, exp = math.random, math.floor, math.exp
local tokens = {}
if os.getenv('TOKENS') then
    for line in io.lines(os.getenv('TOKENS')) do tokens[#tokens + 1] = line end
end
math.randomseed(tonumber(os.getenv('SEED') or 1) * 1000)

local span, at, STRIDE = math.log(items + 1), random(items), 61803 -- by the golden section, prime to any number of items of ours
local laws = {
    turns = function() -- each once before any comes again
        at = at + STRIDE
        return at % items + 1
    end,
    uniform = function() return random(items) end,
    zipf = function() return floor(exp(random() * span)) end, -- 1/k: uniform by the logarithm of the rank
}
local item = laws[os.getenv('LAW') or 'uniform']

local function visitor() return tokens[random(#tokens)] end

local function write(method, number, what, token)
    return method .. ' /v1/load/items/i' .. number .. '/' .. what .. ' HTTP/1.1\r\nHost: load\r\nEngaged-Visitor: ' ..
        token .. '\r\nContent-Length: 0\r\n\r\n'
end

local function read(path) return 'GET ' .. path .. ' HTTP/1.1\r\nHost: load\r\n\r\n' end

local turn, made, BEHIND = 0, {}, 1000

local works = {}

function works.votes() return write('POST', item(), 'votes', visitor()) end

-- Every second call takes back the vote of a thousand turns ago.
function works.undo()
    turn = turn + 1
    local place = floor(turn / 2) % BEHIND
    local old = made[place]
    if turn % 2 == 1 and old then return write('DELETE', old[1], 'votes', old[2]) end
    made[place] = {item(), visitor()}
    return write('POST', made[place][1], 'votes', made[place][2])
end

-- Visitors in turn, so that after five rounds each has five earlier items.
function works.views()
    turn = turn + 1
    return write('POST', item(), 'views', tokens[turn % #tokens + 1])
end

function works.read() return read(target) end

function works.tail() return read('/v1/load/items/i' .. item() .. target) end

-- A page's private call: the vote on its item, and a box of eight.
function works.me()
    local body = '{"ids":["i' .. item() .. '"],"recommendations":8}'
    return 'POST /v1/load/me HTTP/1.1\r\nHost: load\r\nContent-Type: text/plain\r\nEngaged-Visitor: ' .. visitor() ..
        '\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body
end

-- As a site sees it: a page of an item, a view in 12, a vote in 50.
function works.mixed()
    local dice = random(100)
    if dice <= 90 then return read('/v1/load/items/i' .. item() .. '/page') end
    return dice <= 98 and works.views() or works.votes()
end

-- All that is written: four views for a vote.
function works.writes() return random(5) == 1 and works.votes() or works.views() end

function works.webdis()
    local number, who = item(), visitor()
    return read('/EVALSHA/' .. sha .. '/4/v:' .. number .. '/i:' .. number .. '/hot/day/' .. who .. '/i' .. number ..
        '/' .. os.time())
end

local work, pieces = works[os.getenv('WORK') or 'read'], {}

-- A read is always the same; wrk itself does not get faster by it, but the generator is no part of the figure.
local constant = work == works.read and string.rep(works.read(), depth)

function request()
    if constant then return constant end
    for i = 1, depth do pieces[i] = work() end
    return table.concat(pieces)
end

-- Of requests sent together wrk knows no latencies.
function done(summary, latency)
    local bad = summary.errors
    if depth > 1 then latency = {percentile = function() return -1 end} end
    print(string.format(
        'JSON {"requests": %d, "seconds": %.6f, "bad": %d, "broken": %d, "p50": %.0f, "p99": %.0f, "p99.9": %.0f}',
        summary.requests, summary.duration / 1e6, bad.status, bad.connect + bad.read + bad.write + bad.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
