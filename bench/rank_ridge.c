/*
 * Ridge regression in its dual form: as many unknowns as architectures that are known.
 */
#include "rank_ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/quality.h"

enum {
    singles = nb201_edges * nb201_ops,
    pairs = nb201_edges * (nb201_edges - 1) / 2,
    columns = singles + pairs * nb201_ops * nb201_ops + 2
};

/* The features of a cell; (columns). */
static void expand(const nb201 *table, uint32_t i, double *row)
{
    const uint8_t *code = table->codes[i];
    memset(row, 0, columns * sizeof *row);
    uint32_t at = singles;
    for (uint32_t a = 0; a < nb201_edges; a++) {
        row[a * nb201_ops + code[a]] = 1.0;
        for (uint32_t b = 0; b < a; b++, at += nb201_ops * nb201_ops)
            row[at + code[a] * nb201_ops + code[b]] = 1.0;
    }
    row[at] = log(table->params[i]);
    row[at + 1] = log(table->macs[i]);
}

/* Against squared errors of normal scores; of 0.3, 1 and 5 the one that ranks best. */
static const double penalty = 5.0;

/* Room for a fit to n known cells. */
typedef struct ridge {
    size_t n;
    double *x;    /* (n,columns): centred, the logarithms standardised */
    double *gram; /* (n,n): x x^T + penalty, then its Cholesky factor */
    double *y;    /* (n): targets, then the dual weights */
    double mean[columns], gain[columns], weights[columns];
} ridge;

static void standardise(ridge *r)
{
    for (uint32_t c = 0; c < columns; c++) {
        double mean = 0.0;
        double square = 0.0;
        for (size_t i = 0; i < r->n; i++)
            mean += r->x[i * columns + c] / (double)r->n;
        for (size_t i = 0; i < r->n; i++)
            square += pow(r->x[i * columns + c] - mean, 2.0) / (double)r->n;
        r->mean[c] = mean;
        r->gain[c] = c < columns - 2 || square == 0.0 ? 1.0 : 1.0 / sqrt(square);
        for (size_t i = 0; i < r->n; i++)
            r->x[i * columns + c] = (r->x[i * columns + c] - mean) * r->gain[c];
    }
}

static double product(const double *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Solves (x x^T + penalty) dual = y by Cholesky; weights = x^T dual. */
static void fit(ridge *r)
{
    size_t n = r->n;
    double *l = r->gram;
    standardise(r);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double value = product(r->x + i * columns, r->x + j * columns, columns) +
                           (i == j ? penalty : 0.0) - product(l + i * n, l + j * n, j);
            l[i * n + j] = i == j ? sqrt(value) : value / l[j * n + j];
        }
    for (size_t i = 0; i < n; i++)
        r->y[i] = (r->y[i] - product(l + i * n, r->y, i)) / l[i * n + i];
    for (size_t i = n; i-- > 0;) {
        r->y[i] /= l[i * n + i];
        for (size_t j = 0; j < i; j++)
            r->y[j] -= l[i * n + j] * r->y[i];
    }
    memset(r->weights, 0, sizeof r->weights);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < columns; c++)
            r->weights[c] += r->y[i] * r->x[i * columns + c];
}

mn_status rank_ridge(const ranker_call *call, double *ret_scores, mn_error *err)
{
    const nb201 *table = call->table;
    size_t n = call->count;
    double *accuracies = mn_calloc(n, sizeof *accuracies);
    double *room = mn_calloc(n, (columns + 1 + n) * sizeof *room);
    mn_status status = MN_OK;
    if (accuracies == NULL || room == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "ridge: no room for %zu cells", n);
        goto done;
    }
    ridge r = {.n = n, .x = room, .gram = room + n * columns};
    r.y = r.gram + n * n;
    for (size_t i = 0; i < n; i++) {
        accuracies[i] = table->accuracy[call->known[i]];
        expand(table, call->known[i], r.x + i * columns);
    }
    status = mn__normal_scores(accuracies, call->count, r.y, err);
    if (status != MN_OK)
        goto done;
    fit(&r);
    for (uint32_t i = 0; i < call->asked_count; i++) {
        double row[columns];
        expand(table, call->asked[i], row);
        ret_scores[i] = 0.0;
        for (uint32_t c = 0; c < columns; c++)
            ret_scores[i] += (row[c] - r.mean[c]) * r.gain[c] * r.weights[c];
    }
done:
    free(room);
    free(accuracies);
    return status;
}
