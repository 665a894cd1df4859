/*
 * The int8 kernels as tables, one for each set of instructions that the library is compiled for:
 * the same files, with other names. All give the same bytes, so the choice is one of speed alone.
 * Exported code has one set, under plain names: the one that its compiler is told to use.
 */
#ifndef MN_KERNELS_TABLE_H
#define MN_KERNELS_TABLE_H

#include "kernels/mn_s8.h"

/* The functions of mn_s8.h. */
typedef struct mn__s8_kernels {
    const char *name;
    void (*conv)(const int8_t *in,
                 int8_t *out,
                 const mn_s8_filter *filter,
                 void *scratch,
                 const mn_s8_window *window);
    void (*depthwise)(const int8_t *in,
                      int8_t *out,
                      const mn_s8_filter *filter,
                      void *scratch,
                      const mn_s8_window *window);
    void (*depthwise_in_place)(int8_t *data,
                               const mn_s8_filter *filter,
                               void *scratch,
                               const mn_s8_window *window);
    void (*max_pool)(const int8_t *in, int8_t *out, const mn_s8_window *window);
    void (*avg_pool)(const int8_t *in, int8_t *out, const mn_s8_window *window);
    void (*global_pool)(const int8_t *in,
                        int8_t *out,
                        const mn_s8_factor *factor,
                        const mn_s8_span *span);
    void (*fully_connected)(const int8_t *in,
                            int8_t *out,
                            const mn_s8_filter *filter,
                            int32_t outputs,
                            const mn_s8_span *span);
    void (*add)(const int8_t *a,
                const int8_t *b,
                int8_t *out,
                const mn_s8_add_factors *factors,
                const mn_s8_span *span);
    void (*copy)(const int8_t *in, int8_t *out, const mn_s8_factor *factor, const mn_s8_span *span);
} mn__s8_kernels;

/* The best that this processor and MEMNET_ISA (avx512, avx2, portable; unset: any) allow. */
const mn__s8_kernels *mn__s8_choose(void);

/* The sets that this processor can run, best first; null behind the last. */
const mn__s8_kernels *mn__s8_set(int32_t index);

#endif
