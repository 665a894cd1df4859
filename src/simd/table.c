/*
 * The kernels of one set as a table.
 */
#include "simd/kernels.h"

#define MN_TEXT_OF(x) #x
#define MN_TEXT(x) MN_TEXT_OF(x)

const mn__simd MN_NAME(mn__simd) = {
    .name = MN_TEXT(MN_SET),
    .lanes = MN_LANES,
    .element_bytes = sizeof(element),
    .pad = MN_NAME(mn__pad),
    .pad_float = MN_NAME(mn__pad_float),
    .pad_slope = MN_NAME(mn__pad_slope),
    .pad_slope_float = MN_NAME(mn__pad_slope_float),
    .conv = MN_NAME(mn__conv),
    .conv_weights = MN_NAME(mn__conv_weights),
    .convert_filter = MN_NAME(mn__convert_filter),
    .depthwise = MN_NAME(mn__depthwise),
    .depthwise_weights = MN_NAME(mn__depthwise_weights),
    .max_pool = MN_NAME(mn__max_pool),
    .max_pool_gradient = MN_NAME(mn__max_pool_gradient),
    .join = MN_NAME(mn__join),
    .fake_quant = MN_NAME(mn__fake_quant),
    .store_slope = MN_NAME(mn__store_slope),
    .sums = MN_NAME(mn__sums),
    .slope_sums = MN_NAME(mn__slope_sums),
    .to_float = MN_NAME(mn__to_float),
    .from_float = MN_NAME(mn__from_float),
    .quantise_weights = MN_NAME(mn__quantise_weights),
    .dot = MN_NAME(mn__dot),
    .add_scaled = MN_NAME(mn__add_scaled),
    .add = MN_NAME(mn__add),
    .sgd = MN_NAME(mn__sgd),
};
