/*
 * Rows of `genotypes`: every network that the search made and did not throw away as a duplicate.
 */
#include <stdlib.h>
#include <string.h>

#include "study/query.h"

/* In the order of mn_genotype_state; the schema lists the same words. */
static const char *const STATES[] = {"over_bound", "ranked", "chosen"};
#define STATE_COUNT (sizeof STATES / sizeof STATES[0])

static const char PUT[] =
    "INSERT INTO genotypes (id, parent_id, round, state, move, map_json, rank_score,"
    "                       weights_bytes, arena_bytes, total_bytes, macs, json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, round = excluded.round,"
    "   state = excluded.state, move = excluded.move, map_json = excluded.map_json,"
    "   rank_score = excluded.rank_score, weights_bytes = excluded.weights_bytes,"
    "   arena_bytes = excluded.arena_bytes, total_bytes = excluded.total_bytes,"
    "   macs = excluded.macs, json = excluded.json"
    " WHERE state <> 'chosen' AND excluded.state = 'chosen' AND excluded.round > round";

static const char GET[] =
    "SELECT id, parent_id, round, state, move, map_json, rank_score,"
    "       weights_bytes, arena_bytes, total_bytes, macs, json FROM genotypes WHERE id = ?";

mn_status mn_study_put_genotype(mn_study *study, const mn_genotype_row *row, mn_error *err)
{
    if ((size_t)row->state >= STATE_COUNT)
        return mn_error_set(err,
                            MN_ERR_ARG,
                            "study %s: genotype %.16s: state %d, expected below %zu",
                            study->folder,
                            row->id,
                            (int)row->state,
                            STATE_COUNT);
    mn__query query = mn__query_write(study, PUT);
    mn__bind_id(&query, row->id);
    mn__bind_id(&query, row->parent_id);
    mn__bind_unsigned(&query, row->round);
    mn__bind_text(&query, STATES[row->state]);
    mn__bind_text(&query, row->move);
    mn__bind_text(&query, row->map_json);
    mn__bind_real(&query, row->rank_score);
    mn__bind_unsigned(&query, row->weights_bytes);
    mn__bind_unsigned(&query, row->arena_bytes);
    mn__bind_unsigned(&query, row->total_bytes);
    mn__bind_unsigned(&query, row->macs);
    mn__bind_text(&query, row->json);
    return mn__query_finish(&query, err);
}

static mn_genotype_state take_state(mn__query *query)
{
    size_t state = 0;
    char *text = mn__take_text(query);
    while (text != NULL && state < STATE_COUNT && strcmp(text, STATES[state]) != 0)
        state++;
    free(text);
    if (state < STATE_COUNT)
        return (mn_genotype_state)state;
    query->rc = SQLITE_CORRUPT;
    return MN_STATE_OVER_BOUND;
}

mn_status mn_study_get_genotype(
    mn_study *study, const char *id, mn_genotype_row *ret_row, bool *ret_found, mn_error *err)
{
    mn_genotype_row row = {0};
    mn__query query = mn__query_read(study, GET);
    mn__bind_text(&query, id);
    bool found = mn__query_step(&query);
    if (found) {
        mn__take_id(&query, row.id);
        mn__take_id(&query, row.parent_id);
        row.round = mn__take_u32(&query);
        row.state = take_state(&query);
        row.move = mn__take_held(&query, 0);
        row.map_json = mn__take_held(&query, 1);
        row.rank_score = mn__take_real(&query);
        row.weights_bytes = mn__take_unsigned(&query);
        row.arena_bytes = mn__take_unsigned(&query);
        row.total_bytes = mn__take_unsigned(&query);
        row.macs = mn__take_unsigned(&query);
        row.json = mn__take_held(&query, 2);
    }
    mn_status status = mn__query_end(&query, err);
    if (status != MN_OK)
        return status;
    if (found)
        *ret_row = row;
    *ret_found = found;
    return MN_OK;
}
