/*
 * Loops of the controller. Invariant: no result depends on how a compiler vectorises.
 */
#include "rank/vector.h"

#include <stdint.h>
#include <string.h>

enum { lanes = 8 };

void mn__axpy(float *restrict y, const float *restrict x, float a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] += a * x[i];
}

float mn__dot(const float *restrict a, const float *restrict b, size_t count)
{
    float sums[lanes] = {0};
    size_t whole = count - count % lanes;
    for (size_t i = 0; i < whole; i += lanes)
        for (size_t l = 0; l < lanes; l++)
            sums[l] += a[i + l] * b[i + l];
    for (size_t i = whole; i < count; i++)
        sums[i - whole] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/* y += four rows of w: one pass over y instead of four. */
static void
add_four(float *restrict y, const float *restrict w, const float *x, size_t columns, size_t stride)
{
    const float *w1 = w + stride;
    const float *w2 = w1 + stride;
    const float *w3 = w2 + stride;
    float x0 = x[0];
    float x1 = x[1];
    float x2 = x[2];
    float x3 = x[3];
    for (size_t i = 0; i < columns; i++)
        y[i] += (x0 * w[i] + x1 * w1[i]) + (x2 * w2[i] + x3 * w3[i]);
}

void mn__rows_add(
    float *y, const float *w, const float *x, size_t rows, size_t columns, size_t stride)
{
    for (size_t i = 0; i < rows;) {
        if (x[i] == 0.0f) {
            i++;
        } else if (i + 4 <= rows && x[i + 1] != 0.0f && x[i + 2] != 0.0f && x[i + 3] != 0.0f) {
            add_four(y, w + i * stride, x + i, columns, stride);
            i += 4;
        } else {
            mn__axpy(y, w + i * stride, x[i], columns);
            i++;
        }
    }
}

/* exp(x) = 2^k 2^f with f in [-1/2, 1/2]; 2^f by its Taylor series, whose remainder is below
 * (ln 2 / 2)^7 / 7! = 1.2e-7. Written without branches. */
static inline float exponential(float x)
{
    x = x > -80.0f ? x : -80.0f; /* so is NaN: no integer stands for it */
    x = x < 80.0f ? x : 80.0f;
    float scaled = x * 1.44269504f;
    int32_t k = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    float f = (scaled - (float)k) * 0.693147181f;
    float p = 1.0f / 720.0f;
    p = p * f + 1.0f / 120.0f;
    p = p * f + 1.0f / 24.0f;
    p = p * f + 1.0f / 6.0f;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    int32_t bits = (k + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

void mn__sigmoid(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = 1.0f / (1.0f + exponential(-x[i]));
}

void mn__tanh(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = 1.0f - 2.0f / (1.0f + exponential(2.0f * x[i]));
}
