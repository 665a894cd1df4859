/*
 * Hash for identity. Reads bytes in a fixed (little-endian) order, so ids agree across machines.
 */
#include "base/hash.h"

static const uint64_t fnv_prime = UINT64_C(0x100000001b3);

uint64_t mn_hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word = 0;
        for (unsigned k = 0; k < 8; k++)
            word |= (uint64_t)p[i + k] << (8 * k);
        hash = (hash ^ word) * fnv_prime;
        hash ^= hash >> 32;
    }
    for (; i < count; i++)
        hash = (hash ^ p[i]) * fnv_prime;
    hash ^= hash >> 33;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    return hash;
}

void mn_hash_hex(uint64_t hash, char ret_hex[MN_HASH_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; i--) {
        ret_hex[i] = digits[hash & 15];
        hash >>= 4;
    }
    ret_hex[16] = '\0';
}
