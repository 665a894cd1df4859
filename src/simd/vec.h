/*
 * Registers and elements of the set that is being compiled: MN_SET (portable, avx2, avx512, bf16),
 * MN_LANES floats in a register, MN_BF16 whether elements are bf16.
 */
#ifndef MN_SIMD_VEC_H
#define MN_SIMD_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define MN_NAME_JOIN(name, set) name##_##set
#define MN_NAME_EXPAND(name, set) MN_NAME_JOIN(name, set)
#define MN_NAME(name) MN_NAME_EXPAND(name, MN_SET)

#define MN_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(MN_LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(MN_LANES * sizeof(float))));

MN_INLINE vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

MN_INLINE void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* x where it is larger, else y. */
MN_INLINE vec vec_larger(vec x, vec y)
{
    ivec larger = x > y;
    return (vec)((larger & (ivec)x) | (~larger & (ivec)y));
}

/* Minus zero, not plus: that is x for every x, and costs nothing. */
MN_INLINE vec vec_all(float x)
{
    return x - (vec){0};
}

#if MN_BF16
typedef uint16_t element;

MN_INLINE vec element_load(const element *p)
{
    __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

MN_INLINE void element_store(element *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#else
typedef float element;

MN_INLINE vec element_load(const element *p)
{
    return vec_load(p);
}

MN_INLINE void element_store(element *p, vec v)
{
    vec_store(p, v);
}
#endif

/* What is not a number stays so: the operand order matters. */
#if defined(__AVX512F__)
MN_INLINE vec vec_floor(vec x)
{
    return (vec)_mm512_floor_ps((__m512)x);
}

MN_INLINE vec vec_clamp(vec x, vec low, vec high)
{
    return (vec)_mm512_min_ps((__m512)high, _mm512_max_ps((__m512)low, (__m512)x));
}

/* d where low < z < high, else 0. */
MN_INLINE vec vec_inside(vec d, vec z, vec low, vec high)
{
    __mmask16 above = _mm512_cmp_ps_mask((__m512)z, (__m512)low, _CMP_GT_OQ);
    __mmask16 inside = _mm512_mask_cmp_ps_mask(above, (__m512)z, (__m512)high, _CMP_LT_OQ);
    return (vec)_mm512_maskz_mov_ps(inside, (__m512)d);
}
#else
MN_INLINE vec vec_select(ivec mask, vec yes, vec no)
{
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

MN_INLINE vec vec_clamp(vec x, vec low, vec high)
{
    vec at_least = vec_select(x < low, low, x);
    return vec_select(at_least > high, high, at_least);
}

MN_INLINE vec vec_inside(vec d, vec z, vec low, vec high)
{
    return (vec)((ivec)d & (z > low) & (z < high));
}

#if defined(__AVX2__)
MN_INLINE vec vec_floor(vec x)
{
    return (vec)_mm256_floor_ps((__m256)x);
}
#else
/* Of numbers within int32_t. */
MN_INLINE vec vec_floor(vec x)
{
    ivec is_number = x == x;
    vec number = (vec)((ivec)x & is_number);
    vec whole = __builtin_convertvector(__builtin_convertvector(number, ivec), vec);
    vec down = whole - (vec)((ivec)vec_all(1.0f) & (whole > number));
    return vec_select(is_number, down, x);
}
#endif
#endif

#endif
