/*
 * Eigenvalues of small symmetric matrices.
 */
#ifndef MN_TRAIN_EIGEN_H
#define MN_TRAIN_EIGEN_H

#include <stdint.h>

/*
 * Writes the eigenvalues of a symmetric matrix (n,n), n > 0, largest first, and orthonormal
 * eigenvectors: row i of `vectors` (n,n) belongs to values[i]. `matrix` is used up. Takes about
 * 10 n^3 steps: meant for a hundred rows or two.
 */
void mn__eigen_symmetric(uint32_t n, double *matrix, double *values, double *vectors);

#endif
