/*
 * Sizes that do not depend on the instruction set: kept out of simd.c, which is compiled several
 * times.
 */
#include "train/simd.h"

size_t mn__depthwise_scratch(const mn__depthwise *g, uint32_t lanes)
{
    size_t rows = (size_t)(g->out_h - 1) * g->stride + g->kernel;
    size_t columns = (size_t)(g->out_w - 1) * g->stride + g->kernel;
    size_t taps = (size_t)g->kernel * g->kernel;
    return (rows * columns + g->blocks * taps) * lanes;
}
