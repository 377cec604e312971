-- The packed item (src/model/item.h) as a table; the build puts this file before the scripts whose head names it.
local FORMAT, VOTER, NO_KIND = 1, 13, 255
local NO_TEXTS = '\0\0\0' -- no base, no categories
local byte, sub, pack, unpack_bytes = string.byte, string.sub, struct.pack, struct.unpack

local function new_item(name, kinds)
    local item = {has_card = false, has_base = false, buckets = 0, published = 0, counts = {}, voters = '',
        meta = name .. NO_TEXTS}
    for kind = 1, kinds do item.counts[kind] = 0 end
    return item
end

local function is_item(packed)
    local size = #packed
    if size < 16 then return false end
    local format, _, kinds, _, _, low, high = byte(packed, 1, 7)
    local voters_at = low + 256 * high
    return format == FORMAT and voters_at >= 15 + 4 * kinds and voters_at <= size and (size - voters_at) % VOTER == 0
end

-- nil when it is torn or of an unknown format. `kinds`: counts at least.
local function open_item(packed, kinds)
    if not is_item(packed) then return nil end
    local _, flags, stored, buckets, at, published = unpack_bytes('<BBBI2I2d', packed)
    local counts = {}
    for kind = 1, math.max(kinds, stored) do
        counts[kind] = kind <= stored and unpack_bytes('<I4', packed, 12 + 4 * kind) or 0
    end
    return {has_card = flags % 2 == 1, has_base = flags >= 2, buckets = buckets, published = published,
        counts = counts, voters = sub(packed, at + 1), meta = sub(packed, 16 + 4 * stored, at)}
end

local function pack_item(item)
    local kinds, flags = #item.counts, (item.has_card and 1 or 0) + (item.has_base and 2 or 0)
    return pack('<BBBI2I2d', FORMAT, flags, kinds, item.buckets, 15 + 4 * kinds + #item.meta, item.published)
        .. pack('<' .. string.rep('I4', kinds), unpack(item.counts)) .. item.meta .. item.voters
end

local function is_named(item, name)
    return sub(item.meta, 1, #name) == name
end

-- Name (text8 site, text16 id), base (text8) and categories (text16).
local function split_meta(meta)
    local site = byte(meta)
    local base = site + 4 + unpack_bytes('<I2', meta, site + 2)
    local categories = base + 1 + byte(meta, base)
    return sub(meta, 1, base - 1), sub(meta, base + 1, categories - 1), sub(meta, categories + 2)
end

local function set_meta(item, name, base, categories)
    item.has_base = base ~= ''
    item.meta = name .. string.char(#base) .. base .. pack('<I2', #categories) .. categories
end
