// SPDX-License-Identifier: MIT
// The grammar of Host (RFC 9110, 7.2): a registered name, an IPv4 address or a bracketed IPv6 address, and a port.
#include "http/host.h"

// unreserved and sub-delims of RFC 3986 without the comma, which would let a joined list through, and '%' of escapes.
static const bool name_byte[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true, ['.'] = true,  ['_'] = true,
    ['~'] = true,         ['!'] = true,         ['$'] = true,         ['&'] = true, ['\''] = true, ['('] = true,
    [')'] = true,         ['*'] = true,         ['+'] = true,         [';'] = true, ['='] = true,  ['%'] = true,
};

static bool is_address_byte(char byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') || byte == ':' || byte == '.';
}

// The length of the bracketed address; 0 when there is none.
static size_t bracketed(struct bytes host) {
    size_t n = 1;
    while (n < host.len && is_address_byte(host.at[n]))
        n++;
    return n > 2 && n < host.len && host.at[n] == ']' ? n + 1 : 0;
}

bool host_is_valid(struct bytes host) {
    size_t n = 0;
    if (host.len && host.at[0] == '[')
        n = bracketed(host);
    else
        while (n < host.len && name_byte[(unsigned char)host.at[n]])
            n++;
    if (n == 0)
        return false;
    if (n == host.len)
        return true;
    if (host.at[n] != ':' || host.len - n > 6)
        return false;
    for (n++; n < host.len; n++)
        if (host.at[n] < '0' || host.at[n] > '9')
            return false;
    return true;
}
