/*
 * The few loops on floats that the controller spends its time in. Plain C that compilers turn into
 * vectors of whatever width the target has; sums are of eight lanes in a fixed order, and the
 * exponential is ours, so that the same seed gives the same scores on any libc.
 */
#ifndef MN_RANK_VECTOR_H
#define MN_RANK_VECTOR_H

#include <stddef.h>

/* y += a x */
void mn__axpy(float *y, const float *x, float a, size_t count);

float mn__dot(const float *a, const float *b, size_t count);

/* y += W^T x with W (rows,columns) in rows of `stride` floats, x (rows), y (columns). Zeros in x
 * cost nothing: one-hot vectors are mostly zeros. */
void mn__rows_add(
    float *y, const float *w, const float *x, size_t rows, size_t columns, size_t stride);

/* In place; errors below 3e-7. For numbers: of NaN they make some number. */
void mn__sigmoid(float *x, size_t count);
void mn__tanh(float *x, size_t count);

#endif
