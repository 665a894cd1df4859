/*
 * Max pooling over one padded block of floats. The forward pass notes which tap won, one byte a
 * lane, so that the backward pass need not look at the values again.
 */
#include <math.h>

#include "simd/kernels.h"

static void store_bytes(uint8_t *out, ivec v)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)out, _mm512_cvtepi32_epi8((__m512i)v));
#else
    for (int i = 0; i < MN_LANES; i++)
        out[i] = (uint8_t)v[i];
#endif
}

static ivec load_bytes(const uint8_t *in)
{
#if defined(__AVX512F__)
    return (ivec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)in));
#else
    ivec v = {0};
    for (int i = 0; i < MN_LANES; i++)
        v[i] = in[i];
    return v;
#endif
}

void MN_NAME(mn__max_pool)(const mn__depthwise_pass *d, const float *in, void *out, uint8_t *which)
{
    for (uint32_t y = 0; y < d->rows; y++)
        for (uint32_t x = 0; x < d->columns; x++) {
            const float *corner = in + y * d->in_row + x * d->in_step;
            vec best = vec_load(corner + d->taps.offset[0]);
            ivec won = (ivec){0} + (int32_t)d->taps.index[0];
            for (uint32_t t = 1; t < d->taps.count; t++) {
                vec v = vec_load(corner + d->taps.offset[t]);
#if defined(__AVX512F__)
                __m512i tap = _mm512_set1_epi32((int)d->taps.index[t]);
                __mmask16 m = _mm512_cmp_ps_mask((__m512)v, (__m512)best, _CMP_GT_OQ);
                best = (vec)_mm512_mask_mov_ps((__m512)best, m, (__m512)v);
                won = (ivec)_mm512_mask_mov_epi32((__m512i)won, m, tap);
#else
                ivec m = v > best;
                best = vec_select(m, v, best);
                won = (m & (int32_t)d->taps.index[t]) | (~m & won);
#endif
            }
            element_store((element *)out + y * d->out_row + x * d->out_step, best);
            store_bytes(which, won);
            which += MN_LANES;
        }
}

void MN_NAME(mn__max_pool_gradient)(const mn__depthwise_pass *d,
                                    const float *out_gradient,
                                    const uint8_t *which,
                                    void *out,
                                    const void *addend)
{
    for (uint32_t y = 0; y < d->rows; y++)
        for (uint32_t x = 0; x < d->columns; x++) {
            size_t from = y * d->in_row + x * d->in_step;
            size_t to = y * d->out_row + x * d->out_step;
            vec sum = vec_all(0.0f);
            if (addend != NULL)
                sum = element_load((const element *)addend + to);
            for (uint32_t t = 0; t < d->taps.count; t++) {
                size_t at = from + d->taps.offset[t];
                vec g = vec_load(out_gradient + at);
                ivec won = load_bytes(which + at);
#if defined(__AVX512F__)
                __m512i tap = _mm512_set1_epi32((int)d->taps.index[t]);
                __mmask16 m = _mm512_cmpeq_epi32_mask((__m512i)won, tap);
                sum = (vec)_mm512_mask_add_ps((__m512)sum, m, (__m512)sum, (__m512)g);
#else
                sum += (vec)((ivec)g & (won == (int32_t)d->taps.index[t]));
#endif
            }
            element_store((element *)out + to, sum);
        }
}
