/*
 * Walking through what was trained, in an order that depends on nothing but the rows.
 */
#include <string.h>

#include "study/query.h"

static const char TRAINED[] =
    "SELECT r.genotype_id, r.seed, g.round, r.val_accuracy, g.parent_id, g.move, g.map_json,"
    "       g.rank_score, g.weights_bytes, g.arena_bytes, g.total_bytes, g.macs, g.json"
    " FROM runs AS r JOIN genotypes AS g ON g.id = r.genotype_id"
    " WHERE r.rung = ? AND g.round < ? AND NOT r.failed"
    " ORDER BY g.round, r.genotype_id, r.seed < 0, r.seed";

static void take_row(mn__query *query, mn_trained_row *row)
{
    mn_genotype_row *genotype = &row->genotype;
    mn__take_id(query, row->key.genotype_id);
    row->key.seed = mn__take_unsigned(query);
    row->round = mn__take_u32(query);
    row->val_accuracy = mn__take_real(query);
    mn__take_id(query, genotype->parent_id);
    genotype->move = mn__take_held(query, 0);
    genotype->map_json = mn__take_held(query, 1);
    genotype->rank_score = mn__take_real(query);
    genotype->weights_bytes = mn__take_unsigned(query);
    genotype->arena_bytes = mn__take_unsigned(query);
    genotype->total_bytes = mn__take_unsigned(query);
    genotype->macs = mn__take_unsigned(query);
    genotype->json = mn__take_held(query, 2);
    genotype->round = row->round;
    genotype->state = MN_STATE_CHOSEN;
    memcpy(genotype->id, row->key.genotype_id, sizeof genotype->id);
}

mn_status
mn_study_visit_trained(mn_study *study,
                       uint32_t rung,
                       uint32_t round,
                       mn_status (*visit)(void *context, const mn_trained_row *row, mn_error *err),
                       void *context,
                       mn_error *err)
{
    mn_status verdict = MN_OK;
    mn__query query = mn__query_read(study, TRAINED);
    mn__bind_unsigned(&query, rung);
    mn__bind_unsigned(&query, round);
    while (verdict == MN_OK && mn__query_step(&query)) {
        mn_trained_row row = {.key.rung = rung};
        take_row(&query, &row);
        if (query.rc == SQLITE_OK)
            verdict = visit(context, &row, err);
    }
    mn_status status = mn__query_end(&query, verdict == MN_OK ? err : NULL);
    return verdict == MN_OK ? status : verdict;
}
