/*
 * Loops over plain vectors of floats: the fully connected layer, sums of threads, the optimiser,
 * weights as int8 holds them.
 */
#include "simd/kernels.h"

/* Four running sums hide the latency of one. */
float MN_NAME(mn__dot)(const float *a, const float *b, size_t count)
{
    vec sums[4] = {vec_all(0.0f), vec_all(0.0f), vec_all(0.0f), vec_all(0.0f)};
    size_t i = 0;
    for (; i + 4 * MN_LANES <= count; i += 4 * MN_LANES)
#pragma GCC unroll 4
        for (size_t k = 0; k < 4; k++)
            sums[k] += vec_load(a + i + k * MN_LANES) * vec_load(b + i + k * MN_LANES);
    vec sum = sums[0] + sums[1] + sums[2] + sums[3];
    float total = 0.0f;
    for (int k = 0; k < MN_LANES; k++)
        total += sum[k];
    for (; i < count; i++)
        total += a[i] * b[i];
    return total;
}

void MN_NAME(mn__add_scaled)(float *restrict sum,
                             float factor,
                             const float *restrict a,
                             size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += factor * a[i];
}

void MN_NAME(mn__add)(float *restrict sum, const float *restrict a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += a[i];
}

MN_INLINE vec absolute(vec x)
{
    return (vec)((ivec)x & INT32_MAX);
}

/* The step of int8 weights, that of zeros being 1; of all of them together when `joint`. */
static vec weight_scale(const float *weights, size_t stride, size_t count, bool joint)
{
    vec most = vec_all(0.0f);
    for (size_t i = 0; i < count; i += stride) {
        vec x = absolute(vec_load(weights + i));
        most = vec_larger(x, most);
    }
    for (int k = 0; k < MN_LANES && joint; k++)
        most = vec_larger(vec_all(most[k]), most);
    vec scale = most / vec_all(127.0f);
    return vec_larger(scale, (vec)((ivec)vec_all(1.0f) & (scale == vec_all(0.0f))));
}

void MN_NAME(mn__quantise_weights)(const float *restrict weights,
                                   uint32_t channels,
                                   size_t count,
                                   float *restrict out)
{
    const bool joint = channels == 1;
    const size_t stride = joint ? MN_LANES : channels;
    const vec half = vec_all(0.5f);
    for (size_t first = 0; first < stride; first += MN_LANES) {
        vec scale = weight_scale(weights + first, stride, count - first, joint);
        for (size_t i = first; i < count; i += stride)
            vec_store(out + i, vec_floor(vec_load(weights + i) / scale + half) * scale);
    }
}

void MN_NAME(mn__sgd)(const mn__sgd *step,
                      float *restrict weight,
                      const float *restrict gradient,
                      float *restrict velocity,
                      size_t count)
{
    float rate = step->rate;
    float momentum = step->momentum;
    float decay = step->decay;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] + decay * weight[i];
        float v = momentum * velocity[i] + g;
        velocity[i] = v;
        weight[i] -= rate * (g + momentum * v);
    }
}
