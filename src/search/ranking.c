/*
 * Quality of a round's ranking, as JSON.
 */
#include "search/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "rank/quality.h"
#include "search/ranker.h"

/* Predicted and trained, over the candidates that were trained without failure. */
typedef struct pairs {
    uint32_t count;
    double *said, *shown;
} pairs;

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void pairs_done(pairs *p)
{
    free(p->shown);
    free(p->said);
}

static mn_status
find_pairs(const mn__pool *pool, const double *first_accuracy, pairs *p, mn_error *err)
{
    p->said = mn_calloc(pool->count, sizeof *p->said);
    p->shown = mn_calloc(pool->count, sizeof *p->shown);
    if (p->said == NULL || p->shown == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < pool->count; i++) {
        if (!pool->entries[i].chosen || isnan(first_accuracy[i]))
            continue;
        p->said[p->count] = pool->entries[i].rank_value;
        p->shown[p->count++] = first_accuracy[i];
    }
    return MN_OK;
}

static json_t *taus(const mn__ranking *ranking)
{
    json_t *object = json_pack("{s:o}", "size", number_or_null(ranking->size_tau));
    for (int kind = 0; object != NULL && ranking->folds > 0 && kind < MN__RANK_KINDS; kind++)
        if (json_object_set_new(object,
                                mn__rank_kind_name((mn__rank_kind)kind),
                                number_or_null(ranking->tau[kind])) != 0) {
            json_decref(object);
            object = NULL;
        }
    return object;
}

mn_status mn__ranking_print(const mn__ranking *ranking,
                            const mn__pool *pool,
                            const double *first_accuracy,
                            char **ret_json,
                            mn_error *err)
{
    pairs p = {0};
    double tau = (double)NAN;
    double precision = (double)NAN;
    double ndcg = (double)NAN;
    json_t *object = NULL;
    char *text = NULL;
    mn_status status = find_pairs(pool, first_accuracy, &p, err);
    uint32_t k = (p.count + 2) / 3;
    bool ranked = p.count >= 2 && strcmp(ranking->name, mn__ranker_none().name) != 0;
    if (status == MN_OK && ranked)
        status = mn__kendall_tau(p.said, p.shown, p.count, &tau, err);
    if (status == MN_OK && ranked)
        status = mn__average_precision(p.said, p.shown, p.count, k, &precision, err);
    if (status == MN_OK && ranked)
        status = mn__ndcg(p.said, p.shown, p.count, k, &ndcg, err);
    if (status == MN_OK)
        object = json_pack("{s:s, s:i, s:i, s:o, s:i, s:i, s:o, s:o, s:o}",
                           "ranker",
                           ranking->name,
                           "samples",
                           (int)ranking->samples,
                           "folds",
                           (int)ranking->folds,
                           "unseen_tau",
                           taus(ranking),
                           "trained",
                           (int)p.count,
                           "k",
                           (int)k,
                           "kendall_tau",
                           number_or_null(tau),
                           "ap_at_k",
                           number_or_null(precision),
                           "ndcg_at_k",
                           number_or_null(ndcg));
    text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (status == MN_OK && text == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    json_decref(object);
    pairs_done(&p);
    if (status == MN_OK)
        *ret_json = text;
    return status;
}
