/*
 * The cyclic Jacobi method (Golub and Van Loan, Matrix Computations, 8.5): one rotation after the
 * other makes an element off the diagonal zero. Slower than what large libraries do, as exact, and
 * short. Invariant of the loop: matrix = vectors * original * vectors^T, vectors orthogonal.
 */
#include "train/eigen.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Convergence is quadratic; about ten are needed. */
enum { most_sweeps = 60 };

/* The rotation that makes element (p,q) zero. */
typedef struct rotation {
    double c, s;
} rotation;

static rotation make_rotation(double pp, double qq, double pq)
{
    double theta = (qq - pp) / (2.0 * pq);
    double t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + hypot(theta, 1.0));
    double c = 1.0 / sqrt(t * t + 1.0);
    return (rotation){c, t * c};
}

/* Turns two numbers of rows or columns p and q. */
static void rotate(rotation r, double *p, double *q)
{
    double kept = *p;
    *p = r.c * kept - r.s * *q;
    *q = r.s * kept + r.c * *q;
}

static void eliminate(uint32_t n, uint32_t p, uint32_t q, double *matrix, double *vectors)
{
    double *row_p = matrix + (size_t)p * n;
    double *row_q = matrix + (size_t)q * n;
    if (row_p[q] == 0.0)
        return;
    rotation r = make_rotation(row_p[p], row_q[q], row_p[q]);
    for (uint32_t i = 0; i < n; i++)
        rotate(r, &matrix[(size_t)i * n + p], &matrix[(size_t)i * n + q]);
    for (uint32_t i = 0; i < n; i++) {
        rotate(r, &row_p[i], &row_q[i]);
        rotate(r, &vectors[(size_t)p * n + i], &vectors[(size_t)q * n + i]);
    }
    row_p[q] = row_q[p] = 0.0;
}

/* Sums of squares on and off the diagonal. */
static void measure(uint32_t n, const double *matrix, double *ret_on, double *ret_off)
{
    *ret_on = *ret_off = 0.0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++) {
            double square = matrix[(size_t)i * n + j] * matrix[(size_t)i * n + j];
            *(i == j ? ret_on : ret_off) += square;
        }
}

/* Insertion sort: equal values keep their order. */
static void sort_descending(uint32_t n, double *values, double *vectors)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t j = i; j > 0 && values[j] > values[j - 1]; j--) {
            double *upper = vectors + (size_t)(j - 1) * n;
            double kept = values[j];
            values[j] = values[j - 1];
            values[j - 1] = kept;
            for (uint32_t k = 0; k < n; k++) {
                kept = upper[k];
                upper[k] = upper[n + k];
                upper[n + k] = kept;
            }
        }
}

void mn__eigen_symmetric(uint32_t n, double *matrix, double *values, double *vectors)
{
    double on = 0.0;
    double off = 0.0;
    memset(vectors, 0, (size_t)n * n * sizeof *vectors);
    for (uint32_t i = 0; i < n; i++)
        vectors[(size_t)i * n + i] = 1.0;
    measure(n, matrix, &on, &off);
    for (int sweep = 0; sweep < most_sweeps && off > 1e-30 * on; sweep++) {
        for (uint32_t p = 0; p + 1 < n; p++)
            for (uint32_t q = p + 1; q < n; q++)
                eliminate(n, p, q, matrix, vectors);
        measure(n, matrix, &on, &off);
    }
    for (uint32_t i = 0; i < n; i++)
        values[i] = matrix[(size_t)i * n + i];
    sort_descending(n, values, vectors);
}
