/*
 * Rows of `runs`: finished trainings, and the names of the files that hold their weights. The file
 * comes first, then the row: a row never speaks of weights that do not exist.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "study/query.h"

static const char PUT[] =
    "INSERT INTO runs (genotype_id, seed, rung, failed, reason, val_accuracy, val_loss,"
    "                  curve_json, weights, train_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (genotype_id, seed, rung) DO NOTHING";

static const char GET[] =
    "SELECT genotype_id, seed, rung, failed, reason, val_accuracy, val_loss, curve_json, weights,"
    "       train_ms"
    " FROM runs WHERE genotype_id = ? AND seed = ? AND rung = ?";

mn_status mn_study_put_run(mn_study *study, const mn_run_row *row, mn_error *err)
{
    mn__query query = mn__query_write(study, PUT);
    mn__bind_id(&query, row->key.genotype_id);
    mn__bind_unsigned(&query, row->key.seed);
    mn__bind_unsigned(&query, row->key.rung);
    mn__bind_signed(&query, row->failed);
    mn__bind_text(&query, row->reason);
    mn__bind_real(&query, row->failed ? (double)NAN : row->val_accuracy);
    mn__bind_real(&query, row->failed ? (double)NAN : row->val_loss);
    mn__bind_text(&query, row->curve_json);
    mn__bind_text(&query, row->weights);
    mn__bind_signed(&query, row->train_ms);
    return mn__query_finish(&query, err);
}

mn_status mn_study_get_run(
    mn_study *study, const mn_run_key *key, mn_run_row *ret_row, bool *ret_found, mn_error *err)
{
    mn_run_row row = {0};
    mn__query query = mn__query_read(study, GET);
    mn__bind_id(&query, key->genotype_id);
    mn__bind_unsigned(&query, key->seed);
    mn__bind_unsigned(&query, key->rung);
    bool found = mn__query_step(&query);
    if (found) {
        mn__take_id(&query, row.key.genotype_id);
        row.key.seed = mn__take_unsigned(&query);
        row.key.rung = mn__take_u32(&query);
        row.failed = mn__take_signed(&query) != 0;
        row.reason = mn__take_held(&query, 0);
        row.val_accuracy = mn__take_real(&query);
        row.val_loss = mn__take_real(&query);
        row.curve_json = mn__take_held(&query, 1);
        row.weights = mn__take_held(&query, 2);
        row.train_ms = mn__take_signed(&query);
    }
    mn_status status = mn__query_end(&query, err);
    if (status != MN_OK)
        return status;
    if (found)
        *ret_row = row;
    *ret_found = found;
    return MN_OK;
}

char *mn_study_weights_path(const mn_run_key *key)
{
    char *path = NULL;
    int length = asprintf(&path,
                          "weights/%.16s-s%" PRIu64 "-r%" PRIu32 ".safetensors",
                          key->genotype_id,
                          key->seed,
                          key->rung);
    return length >= 0 ? path : NULL;
}

mn_status mn_study_top_runs(mn_study *study,
                            uint32_t rung,
                            uint64_t most_bytes,
                            uint32_t limit,
                            mn_run_key *ret_keys,
                            uint32_t *ret_count,
                            mn_error *err)
{
    /* Bytes from 2^63 on are stored negative, and so is such a limit: either is beyond any memory,
     * which keeps the comparison right for all limits but those. */
    static const char TOP[] =
        "SELECT r.genotype_id, r.seed FROM runs AS r JOIN genotypes AS g ON g.id = r.genotype_id"
        " WHERE r.rung = ? AND NOT r.failed AND (?2 < 0 OR g.total_bytes BETWEEN 0 AND ?2)"
        " ORDER BY r.val_accuracy DESC, r.genotype_id, r.seed < 0, r.seed LIMIT ?3";
    uint32_t count = 0;
    mn__query query = mn__query_read(study, TOP);
    mn__bind_unsigned(&query, rung);
    mn__bind_unsigned(&query, most_bytes);
    mn__bind_unsigned(&query, limit);
    while (count < limit && mn__query_step(&query)) {
        mn__take_id(&query, ret_keys[count].genotype_id);
        ret_keys[count].seed = mn__take_unsigned(&query);
        ret_keys[count].rung = rung;
        count++;
    }
    mn_status status = mn__query_end(&query, err);
    if (status == MN_OK)
        *ret_count = count;
    return status;
}
