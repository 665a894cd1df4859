/*
 * The choice of the instruction set, and what all sets share.
 */
#include <stdlib.h>
#include <string.h>

#include "simd/simd.h"

#if defined(MN_SIMD_X86)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

const mn__simd *mn__simd_choose(bool bf16)
{
    const char *most = getenv("MEMNET_ISA");
    bool portable = most != NULL && strcmp(most, "portable") == 0;
    bool avx2 = most != NULL && strcmp(most, "avx2") == 0;
    bool avx512 = most != NULL && strcmp(most, "avx512") == 0;
    __builtin_cpu_init();
    bool has_bf16 = !avx512 && __builtin_cpu_supports("avx512bf16");
    if (!portable && !avx2 && has_avx512() && (!bf16 || has_bf16))
        return bf16 ? &mn__simd_bf16 : &mn__simd_avx512;
    if (bf16)
        return NULL;
    return !portable && has_avx2() ? &mn__simd_avx2 : &mn__simd_portable;
}
#else
const mn__simd *mn__simd_choose(bool bf16)
{
    return bf16 ? NULL : &mn__simd_portable;
}
#endif

size_t mn__filter_at(uint32_t lanes,
                     uint32_t in_lanes,
                     uint32_t out_lanes,
                     uint32_t taps,
                     uint32_t out_lane,
                     uint32_t in_lane,
                     uint32_t tap)
{
    uint32_t block = out_lane / lanes;
    uint32_t group = block / 2;
    uint32_t blocks = out_lanes / lanes - 2 * group >= 2 ? 2 : 1;
    size_t row = ((size_t)(in_lane / lanes) * taps + tap) * lanes + in_lane % lanes;
    size_t before = (size_t)group * 2 * lanes * in_lanes * taps;
    return before + (row * blocks + block % 2) * lanes + out_lane % lanes;
}

size_t mn__conv_weights_scratch(const mn__simd *simd, const mn__conv_weights_pass *pass)
{
    if (simd->element_bytes == sizeof(float))
        return 0;
    size_t image = (size_t)pass->in_rows * pass->in_columns;
    size_t gradient = (size_t)pass->out_blocks * pass->rows * ((pass->columns + 1) / 2);
    return (image + gradient) * 2 * simd->lanes * simd->element_bytes;
}
