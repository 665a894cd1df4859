/*
 * Peak arithmetic from independent chains of multiply-adds in registers, and the bandwidth of a
 * large copy. See peak.h.
 */
#include "peak.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"
#include "train_runs.h"

enum { chains = 12, rounds = 1 << 21, repeats = 5 };

/* Each yields the flops of a call; `sink` keeps the result alive. */
typedef double (*chain_fn)(float *sink);

static double chains_portable(float *sink)
{
    typedef float vec __attribute__((vector_size(4 * sizeof(float))));
    const vec a = (vec){0} + 1.0000001f;
    vec sums[chains];
    for (int i = 0; i < chains; i++)
        sums[i] = (vec){0} + (float)i;
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < chains; i++)
            sums[i] = sums[i] * a + a;
    for (int i = 0; i < chains; i++)
        *sink += sums[i][0];
    return 2.0 * 4 * chains * rounds;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static double chains_avx2(float *sink)
{
    const __m256 a = _mm256_set1_ps(1.0000001f);
    __m256 sums[chains];
    for (int i = 0; i < chains; i++)
        sums[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < chains; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], a, a);
    for (int i = 0; i < chains; i++)
        *sink += _mm256_cvtss_f32(sums[i]);
    return 2.0 * 8 * chains * rounds;
}

__attribute__((target("avx512f"))) static double chains_avx512(float *sink)
{
    const __m512 a = _mm512_set1_ps(1.0000001f);
    __m512 sums[chains];
    for (int i = 0; i < chains; i++)
        sums[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < chains; i++)
            sums[i] = _mm512_fmadd_ps(sums[i], a, a);
    for (int i = 0; i < chains; i++)
        *sink += _mm512_cvtss_f32(sums[i]);
    return 2.0 * 16 * chains * rounds;
}

__attribute__((target("avx512f,avx512bf16"))) static double chains_bf16(float *sink)
{
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80); /* 1.0 in both halves */
    __m512 sums[chains];
    for (int i = 0; i < chains; i++)
        sums[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < chains; i++)
            sums[i] = _mm512_dpbf16_ps(sums[i], a, a);
    for (int i = 0; i < chains; i++)
        *sink += _mm512_cvtss_f32(sums[i]);
    return 4.0 * 16 * chains * rounds;
}
#endif

static chain_fn choose(bool bf16)
{
#if defined(__x86_64__)
    const mn__simd *simd = mn__simd_choose(bf16);
    if (simd == &mn__simd_bf16)
        return chains_bf16;
    if (simd == &mn__simd_avx512)
        return chains_avx512;
    if (simd == &mn__simd_avx2)
        return chains_avx2;
#endif
    (void)bf16;
    return chains_portable;
}

static double best_flops(chain_fn run)
{
    double best = 0.0;
    float sink = 0.0f;
    for (int i = 0; i < repeats; i++) {
        double start = mn_bench_now();
        double flops = run(&sink);
        double rate = flops / (mn_bench_now() - start);
        best = rate > best ? rate : best;
    }
    return sink == 0.5f ? 0.0 : best; /* never: the sum is used */
}

static double best_bytes(void)
{
    const size_t size = (size_t)256 << 20;
    double best = 0.0;
    char *from = malloc(size);
    char *to = malloc(size);
    if (from != NULL && to != NULL) {
        memset(from, 1, size);
        memset(to, 2, size);
        for (int i = 0; i < repeats; i++) {
            double start = mn_bench_now();
            memcpy(to, from, size);
            double rate = 2.0 * (double)size / (mn_bench_now() - start);
            best = rate > best ? rate : best;
        }
    }
    free(from);
    free(to);
    return best;
}

mn_bench_peak mn_bench_peak_measure(bool bf16)
{
    return (mn_bench_peak){.flops = best_flops(choose(bf16)), .bytes = best_bytes()};
}
