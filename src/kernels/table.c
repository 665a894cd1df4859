/*
 * The int8 kernels of one set of instructions. The build compiles this file beside them, with names
 * of the set's own (meson.build).
 */
#include "kernels/table.h"

#ifndef MN_S8_SET
#define MN_S8_SET "portable"
#endif

extern const mn__s8_kernels mn__s8_table;
const mn__s8_kernels mn__s8_table = {
    MN_S8_SET,
    mn_s8_conv,
    mn_s8_depthwise,
    mn_s8_depthwise_in_place,
    mn_s8_max_pool,
    mn_s8_avg_pool,
    mn_s8_global_pool,
    mn_s8_fully_connected,
    mn_s8_add,
    mn_s8_copy,
};
