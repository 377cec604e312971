-- The packed item (src/model/item.h) as a table. The build puts this file before the scripts whose head includes it.
-- One function makes the others, so that a script that seldom needs them does not pay for them at each call.
local function item_module()
    local FORMAT, VOTER = 1, 13
    local NO_TEXTS = '\0\0\0' -- no base, no groups
    local module, byte, sub, pack, unpack_bytes = {}, string.byte, string.sub, struct.pack, struct.unpack

    function module.new(name, kinds)
        local item = {has_card = false, has_base = false, buckets = 0, published = 0, counts = {}, voters = '',
            meta = name .. NO_TEXTS}
        for kind = 1, kinds do item.counts[kind] = 0 end
        return item
    end

    -- nil if it is corrupt or of an unknown format. The table has at least `kinds` counts.
    function module.open(packed, kinds)
        local size = #packed
        if size < 16 or byte(packed) ~= FORMAT or size < 15 + 4 * byte(packed, 3) then return nil end
        local _, flags, stored, buckets, at, published = unpack_bytes('<BBBI2I2d', packed)
        local counts, first = {}, 16 + 4 * stored
        if at < first or at > size or (size - at) % VOTER ~= 0 then return nil end
        for kind = 1, math.max(kinds, stored) do
            counts[kind] = kind <= stored and unpack_bytes('<I4', packed, 12 + 4 * kind) or 0
        end
        return {has_card = flags % 2 == 1, has_base = flags >= 2, buckets = buckets, published = published,
            counts = counts, meta = sub(packed, first, at), voters = sub(packed, at + 1)}
    end

    function module.pack(item)
        local kinds, flags = #item.counts, (item.has_card and 1 or 0) + (item.has_base and 2 or 0)
        return pack('<BBBI2I2d', FORMAT, flags, kinds, item.buckets, 15 + 4 * kinds + #item.meta, item.published)
            .. pack('<' .. string.rep('I4', kinds), unpack(item.counts)) .. item.meta .. item.voters
    end

    function module.is_named(item, name)
        return sub(item.meta, 1, #name) == name
    end

    -- Name (text8 site, text16 id), base (text8) and groups (text16: src/model/item.h).
    function module.split_meta(meta)
        local base = byte(meta) + 4 + unpack_bytes('<I2', meta, byte(meta) + 2)
        local groups = base + 1 + byte(meta, base)
        return sub(meta, 1, base - 1), sub(meta, base + 1, groups - 1), sub(meta, groups + 2)
    end

    function module.set_meta(item, name, base, groups)
        item.has_base = base ~= ''
        item.meta = name .. string.char(#base) .. base .. pack('<I2', #groups) .. groups
    end

    -- The voters that are stored in the item, as fields and values of a hash: voter, vote, …
    function module.voters(item)
        local pairs_of = {}
        for at = 1, #item.voters, VOTER do
            pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = sub(item.voters, at, at + 7), sub(item.voters, at + 8, at + 12)
        end
        return pairs_of
    end

    return module
end
