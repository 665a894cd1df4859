/*
 * 64-bit hashing for identity (genotype ids, data-set fingerprints); not for security.
 */
#ifndef MN_BASE_HASH_H
#define MN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define MN_HASH_START UINT64_C(0xcbf29ce484222325)
#define MN_HASH_HEX_BYTES 17 /* 16 hex digits and the NUL */

/* FNV-1a over 8-byte words with a strong last mix; chain calls by passing the last result. The
 * result depends on the bytes and on how they were cut into calls. */
uint64_t mn_hash_bytes(uint64_t hash, const void *bytes, size_t count);

/* Writes 16 lower-case hex digits and a NUL. */
void mn_hash_hex(uint64_t hash, char ret_hex[MN_HASH_HEX_BYTES]);

#endif
