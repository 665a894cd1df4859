/*
 * Measures the one mean and one scale with which images enter a network.
 * Invariant: the scale is positive and finite, also for constant images.
 */
#include "memnet/dataset.h"

#include <float.h>
#include <math.h>

static mn_preprocessing make(double mean, double variance)
{
    mn_preprocessing result = {.mean = (float)mean, .scale = 1.0f};
    double scale = variance > 0.0 ? 1.0 / sqrt(variance) : 1.0;
    if (scale <= (double)FLT_MAX)
        result.scale = (float)scale;
    return result;
}

/* Counts values first: exact, and no sum of squares can cancel. */
static mn_preprocessing
measure_u8(const uint8_t *pixels, size_t elements, const uint32_t *indices, uint32_t count)
{
    uint64_t histogram[256] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *image = pixels + indices[i] * elements;
        for (size_t k = 0; k < elements; k++)
            histogram[image[k]]++;
    }
    uint64_t n = (uint64_t)count * elements;
    uint64_t sum = 0;
    for (uint32_t v = 0; v < 256; v++) {
        if (histogram[v] == n)
            return make(v, 0.0);
        sum += v * histogram[v];
    }
    double mean = (double)sum / (double)n;
    double squares = 0.0;
    for (uint32_t v = 0; v < 256; v++)
        squares += (double)histogram[v] * (v - mean) * (v - mean);
    return make(round(mean), squares / (double)n);
}

/* Two passes, since squares of floats far from zero cancel. */
static mn_preprocessing
measure_f32(const float *pixels, size_t elements, const uint32_t *indices, uint32_t count)
{
    double n = (double)count * (double)elements;
    double sum = 0.0;
    double squares = 0.0;
    bool constant = true;
    float first = pixels[indices[0] * elements];
    for (uint32_t i = 0; i < count; i++) {
        const float *image = pixels + indices[i] * elements;
        for (size_t k = 0; k < elements; k++) {
            sum += (double)image[k];
            constant = constant && image[k] == first;
        }
    }
    /* A mean that rounding has moved would make a huge scale of a constant. */
    if (constant)
        return make((double)first, 0.0);
    double mean = sum / n;
    for (uint32_t i = 0; i < count; i++) {
        const float *image = pixels + indices[i] * elements;
        for (size_t k = 0; k < elements; k++) {
            double distance = (double)image[k] - mean;
            squares += distance * distance;
        }
    }
    return make(mean, squares / n);
}

mn_preprocessing
mn_preprocessing_measure(const mn_dataset *dataset, const uint32_t *indices, uint32_t count)
{
    const mn_shape *shape = &dataset->shape;
    size_t elements = (size_t)shape->h * shape->w * shape->c;
    if (count == 0)
        return make(0.0, 0.0);
    if (dataset->pixel_type == MN_PIXEL_F32)
        return measure_f32(dataset->train.pixels, elements, indices, count);
    return measure_u8(dataset->train.pixels, elements, indices, count);
}
