/* What the tests of the vector kernels share: the tables that this processor can run, numbers as
 * elements, and memory that is exactly as large as it should be.
 *
 * Half of all cases use whole numbers so small that no sum needs rounding: whatever the order of
 * its terms, a result must then be exact. The other half use normal numbers, with bounds. */
#ifndef MN_TEST_SIMD_FIXTURE_H
#define MN_TEST_SIMD_FIXTURE_H

#include "test.h"

#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "simd/simd.h"

enum { simd_most_tables = 4, simd_most_lanes = 16 };

/* Yields the tables; their number is returned. */
static inline uint32_t simd_tables(const mn__simd *tables[simd_most_tables])
{
    uint32_t count = 0;
    tables[count++] = &mn__simd_portable;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[count++] = &mn__simd_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
        tables[count++] = &mn__simd_avx512;
        if (__builtin_cpu_supports("avx512bf16"))
            tables[count++] = &mn__simd_bf16;
    }
#endif
    return count;
}

typedef void (*simd_case)(const mn__simd *simd, mn_random *random);

/* Runs `count` random cases on every table, each table with the same stream. MEMNET_ISA is not
 * asked, but for valgrind, which knows no more than AVX2. */
static inline void simd_for_all(simd_case run, uint32_t count, uint64_t stream)
{
    const mn__simd *tables[simd_most_tables];
    uint32_t table_count = simd_tables(tables);
    const char *most = getenv("MEMNET_ISA");
    if (most != NULL && table_count > 2)
        table_count = 2;
    for (uint32_t t = 0; t < table_count; t++) {
        mn_random random = mn_random_make(17, stream);
        for (uint32_t i = 0; i < count; i++)
            run(tables[t], &random);
    }
}

/* In [low,high]. */
static inline uint32_t between(mn_random *random, uint32_t low, uint32_t high)
{
    return low + mn_random_below(random, high - low + 1);
}

static inline bool coin(mn_random *random)
{
    return mn_random_below(random, 2) == 0;
}

/* ---- elements -------------------------------------------------------------------------------- */

static inline float bf16_round(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x == x)
        bits += 0x7fff + (bits >> 16 & 1); /* to the nearest, ties to even */
    bits &= 0xffff0000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest number that an element can hold. */
static inline float simd_round(const mn__simd *simd, float x)
{
    return simd->element_bytes == 2 ? bf16_round(x) : x;
}

static inline float element_get(const mn__simd *simd, const void *data, size_t i)
{
    float x;
    if (simd->element_bytes == 2) {
        uint16_t half;
        memcpy(&half, (const char *)data + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    memcpy(&x, (const char *)data + sizeof x * i, sizeof x);
    return x;
}

static inline void element_put(const mn__simd *simd, void *data, size_t i, float x)
{
    if (simd->element_bytes == 2) {
        uint32_t bits;
        float rounded = bf16_round(x);
        memcpy(&bits, &rounded, sizeof bits);
        uint16_t half = (uint16_t)(bits >> 16);
        memcpy((char *)data + 2 * i, &half, sizeof half);
    } else {
        memcpy((char *)data + sizeof x * i, &x, sizeof x);
    }
}

/* `whole`: one of -2..2; else normal. */
static inline float number(mn_random *random, bool whole)
{
    return whole ? (float)mn_random_below(random, 5) - 2.0f : mn_random_normal(random);
}

/* ---- memory ----------------------------------------------------------------------------------
 */

/* `data` lies on no larger boundary than that of its elements. Either nothing is in front of it or
 * behind it, and a sanitizer sees who goes there; or a guard is, which area_check() looks at. */
typedef struct area {
    unsigned char *block;
    void *data;
    size_t bytes, before, after;
} area;

enum { area_fill = 0xff }; /* no number, as float and as bf16 */

static inline area area_make(mn_random *random, size_t count, size_t element_bytes)
{
    area a = {.bytes = count * element_bytes, .before = coin(random) ? 0 : element_bytes};
    if (coin(random)) {
        a.before += 16 * element_bytes;
        a.after = 16 * element_bytes;
    }
    size_t all = a.before + a.bytes + a.after;
    a.block = malloc(all == 0 ? 1 : all);
    assert_non_null(a.block);
    memset(a.block, area_fill, all);
    a.data = a.block + a.before;
    return a;
}

/* Frees it, having looked at the guards. */
static inline void area_done(area *a)
{
    for (size_t i = 0; i < a->before; i++)
        assert_int_equal(a->block[i], area_fill);
    for (size_t i = 0; i < a->after; i++)
        assert_int_equal(a->block[a->before + a->bytes + i], area_fill);
    free(a->block);
    *a = (area){0};
}

static inline float *area_floats(const area *a)
{
    return (float *)a->data;
}

/* Whether element i is as area_make() left it. */
static inline bool area_untouched(const area *a, size_t i, size_t element_bytes)
{
    bool same = true;
    for (size_t k = 0; k < element_bytes; k++)
        same = same && ((const unsigned char *)a->data)[i * element_bytes + k] == area_fill;
    return same;
}

static inline area area_numbers(mn_random *random, size_t count, bool whole)
{
    area a = area_make(random, count, sizeof(float));
    for (size_t i = 0; i < count; i++)
        area_floats(&a)[i] = number(random, whole);
    return a;
}

static inline area area_elements(const mn__simd *simd, mn_random *random, size_t count, bool whole)
{
    area a = area_make(random, count, simd->element_bytes);
    for (size_t i = 0; i < count; i++)
        element_put(simd, a.data, i, number(random, whole));
    return a;
}

/* ---- results ---------------------------------------------------------------------------------
 */

/* A sum as it should be, with the sum of the magnitudes of its terms. */
typedef struct expected {
    double value, magnitude;
    uint32_t terms;
} expected;

static inline void expect_term(expected *e, double term)
{
    e->value += term;
    e->magnitude += fabs(term);
    e->terms++;
}

/* Rounding errors of a sum in float grow like the root of the number of its terms; four times that
 * and a few more are beyond what these seeds can reach. */
static inline double expected_error(const expected *e)
{
    return ldexp(e->magnitude, -24) * (4.0 + 4.0 * sqrt(e->terms));
}

/* Whole numbers up to 2^24 are exact in float, however they were added. */
static inline bool expected_exact(const expected *e, bool whole)
{
    return whole && e->magnitude < 16777216.0;
}

static inline bool float_as_expected(const expected *e, bool whole, float actual)
{
    if (expected_exact(e, whole))
        return (double)actual == e->value;
    return fabs((double)actual - e->value) <= expected_error(e);
}

/* bf16 has eight bits: rounding to it moves a number by up to 2^-8 of itself. */
static inline bool
element_as_expected(const mn__simd *simd, const expected *e, bool whole, float actual)
{
    if (expected_exact(e, whole))
        return actual == simd_round(simd, (float)e->value);
    double error = expected_error(e);
    double rounding = simd->element_bytes == 2 ? ldexp(fabs(e->value) + error, -8) : 0.0;
    return fabs((double)actual - e->value) <= error + rounding;
}

#define assert_expected(ok, simd, e, actual)                                                       \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            fail_msg("%s: %.9g, expected %.9g from %u terms of %g",                                \
                     (simd)->name,                                                                 \
                     (double)(actual),                                                             \
                     (e)->value,                                                                   \
                     (e)->terms,                                                                   \
                     (e)->magnitude);                                                              \
    } while (0)

/* ---- hints ----------------------------------------------------------------------------------- */

/* Spans of any length, empty ones among them, at an address that only a hint may be asked for. */
static inline mn__ahead ahead_draw(mn_random *random)
{
    static const char somewhere = 0;
    mn__ahead ahead = {.count = between(random, 0, mn__most_spans)};
    for (uint32_t i = 0; i < ahead.count; i++) {
        ahead.spans[i].at = &somewhere;
        ahead.spans[i].lines = coin(random) ? 0 : between(random, 1, 40);
    }
    return ahead;
}

#endif
