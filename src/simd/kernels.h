/*
 * The kernels of one set, for table.c. What they do is told in simd.h.
 */
#ifndef MN_SIMD_KERNELS_H
#define MN_SIMD_KERNELS_H

#include "simd/simd.h"
#include "simd/vec.h"

void MN_NAME(mn__pad)(const mn__pad *pad, const mn__view *view, size_t image, void *out);
void MN_NAME(mn__pad_float)(const mn__pad *pad, const mn__view *view, size_t image, float *out);
void MN_NAME(mn__pad_slope)(const mn__pad *pad, const mn__slope *slope, size_t image, void *out);
void MN_NAME(mn__pad_slope_float)(const mn__pad *pad,
                                  const mn__slope *slope,
                                  size_t image,
                                  float *out);

void MN_NAME(mn__conv)(const mn__conv_pass *pass,
                       const void *in,
                       const void *filter,
                       void *out,
                       const void *addend,
                       float *sums);
void MN_NAME(mn__conv_weights)(const mn__conv_weights_pass *pass,
                               const void *in,
                               const void *out_gradient,
                               float *gradient,
                               void *scratch);
void MN_NAME(mn__convert_filter)(const float *filter,
                                 uint32_t blocks_at_once,
                                 size_t count,
                                 void *out);

void MN_NAME(mn__depthwise)(const mn__depthwise_pass *pass,
                            const float *in,
                            const float *filter,
                            void *out,
                            const void *addend,
                            float *sums,
                            size_t sums_stride);
void MN_NAME(mn__depthwise_weights)(const mn__depthwise_pass *pass,
                                    const float *in,
                                    const float *out_gradient,
                                    float *gradient);

void MN_NAME(mn__max_pool)(const mn__depthwise_pass *pass,
                           const float *in,
                           void *out,
                           uint8_t *which);
void MN_NAME(mn__max_pool_gradient)(const mn__depthwise_pass *pass,
                                    const float *out_gradient,
                                    const uint8_t *which,
                                    void *out,
                                    const void *addend);

void MN_NAME(mn__join)(const mn__view *views,
                       uint32_t view_count,
                       const mn__maps *out,
                       size_t image);
void MN_NAME(mn__fake_quant)(const mn__view *view,
                             const mn__grid *grid,
                             const mn__maps *out,
                             size_t image);
void MN_NAME(mn__store_slope)(const mn__slope *slope,
                              const mn__maps *addend,
                              const mn__maps *out,
                              size_t image);
void MN_NAME(mn__sums)(const mn__maps *maps, size_t image, float *sums);
void MN_NAME(mn__slope_sums)(const mn__slope *slope, const float *mean, size_t image, float *sums);
void MN_NAME(mn__to_float)(const mn__view *view, size_t image, float *out);
void MN_NAME(mn__from_float)(const float *in,
                             const mn__maps *addend,
                             const mn__maps *out,
                             size_t image);

void MN_NAME(mn__quantise_weights)(const float *weights,
                                   uint32_t channels,
                                   size_t count,
                                   float *out);
float MN_NAME(mn__dot)(const float *a, const float *b, size_t count);
void MN_NAME(mn__add_scaled)(float *sum, float factor, const float *a, size_t count);
void MN_NAME(mn__add)(float *sum, const float *a, size_t count);
void MN_NAME(mn__sgd)(
    const mn__sgd *step, float *weight, const float *gradient, float *velocity, size_t count);

#endif
