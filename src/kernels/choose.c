/*
 * The choice among the sets of int8 kernels.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/table.h"

extern const mn__s8_kernels mn__s8_table;

#if defined(__x86_64__)
extern const mn__s8_kernels mn__s8_table_avx2;
extern const mn__s8_kernels mn__s8_table_vnni;

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

static int has_vnni(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/* Sets from the best allowed on. avx512 stands for VNNI. */
static const mn__s8_kernels *set_of(int32_t index, const char *most)
{
    const mn__s8_kernels *sets[4];
    int32_t count = 0;
    int any = most == NULL || strcmp(most, "portable") != 0;
    int avx512 = any && (most == NULL || strcmp(most, "avx2") != 0);
    __builtin_cpu_init();
    if (avx512 && has_vnni())
        sets[count++] = &mn__s8_table_vnni;
    if (any && has_avx2())
        sets[count++] = &mn__s8_table_avx2;
    sets[count++] = &mn__s8_table;
    return index < count ? sets[index] : NULL;
}
#else
static const mn__s8_kernels *set_of(int32_t index, const char *most)
{
    (void)most;
    return index == 0 ? &mn__s8_table : NULL;
}
#endif

const mn__s8_kernels *mn__s8_set(int32_t index)
{
    return set_of(index, NULL);
}

const mn__s8_kernels *mn__s8_choose(void)
{
    return set_of(0, getenv("MEMNET_ISA"));
}
