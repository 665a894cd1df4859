/*
 * Rows of `rungs`, `rounds`, `best` and `events`: how runs were trained and what was decided. All
 * but `best` are written once and then stand, so that a search that replays its decisions may
 * write them again.
 */
#include "study/query.h"

/* ---- rungs and events: a key and a text ------------------------------------------------------ */

/* Ends a query whose only column is a text; NULL without a row. */
static mn_status end_with_text(mn__query *query, char **ret_text, mn_error *err)
{
    char *text = NULL;
    if (mn__query_step(query))
        text = mn__take_text(query);
    mn_status status = mn__query_end(query, err);
    if (status == MN_OK)
        *ret_text = text;
    return status;
}

mn_status mn_study_put_rung(mn_study *study, uint32_t rung, const char *options_json, mn_error *err)
{
    mn__query query = mn__query_write(study,
                                      "INSERT INTO rungs (rung, options_json) VALUES (?, ?)"
                                      " ON CONFLICT (rung) DO NOTHING");
    mn__bind_unsigned(&query, rung);
    mn__bind_text(&query, options_json);
    return mn__query_finish(&query, err);
}

mn_status mn_study_get_rung(mn_study *study, uint32_t rung, char **ret_options_json, mn_error *err)
{
    mn__query query = mn__query_read(study, "SELECT options_json FROM rungs WHERE rung = ?");
    mn__bind_unsigned(&query, rung);
    return end_with_text(&query, ret_options_json, err);
}

mn_status mn_study_put_event(
    mn_study *study, const char *kind, uint32_t number, const char *detail_json, mn_error *err)
{
    mn__query query =
        mn__query_write(study,
                        "INSERT INTO events (kind, number, detail_json) VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, number) DO NOTHING");
    mn__bind_text(&query, kind);
    mn__bind_unsigned(&query, number);
    mn__bind_text(&query, detail_json);
    return mn__query_finish(&query, err);
}

mn_status mn_study_get_event(
    mn_study *study, const char *kind, uint32_t number, char **ret_detail_json, mn_error *err)
{
    mn__query query =
        mn__query_read(study, "SELECT detail_json FROM events WHERE kind = ? AND number = ?");
    mn__bind_text(&query, kind);
    mn__bind_unsigned(&query, number);
    return end_with_text(&query, ret_detail_json, err);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static const char PUT_ROUND[] =
    "INSERT INTO rounds (round, base_id, best_id, best_accuracy, best_score,"
    "                    generated, over_bound, duplicate, ranked, trained, failed)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (round) DO NOTHING";

static const char GET_ROUND[] = "SELECT round, base_id, best_id, best_accuracy, best_score,"
                                "       generated, over_bound, duplicate, ranked, trained, failed"
                                " FROM rounds WHERE round = ?";

mn_status mn_study_put_round(mn_study *study, const mn_round_row *row, mn_error *err)
{
    mn__query query = mn__query_write(study, PUT_ROUND);
    mn__bind_unsigned(&query, row->round);
    mn__bind_id(&query, row->base_id);
    mn__bind_id(&query, row->best_id);
    mn__bind_real(&query, row->best_accuracy);
    mn__bind_real(&query, row->best_score);
    mn__bind_unsigned(&query, row->generated);
    mn__bind_unsigned(&query, row->over_bound);
    mn__bind_unsigned(&query, row->duplicate);
    mn__bind_unsigned(&query, row->ranked);
    mn__bind_unsigned(&query, row->trained);
    mn__bind_unsigned(&query, row->failed);
    return mn__query_finish(&query, err);
}

mn_status mn_study_get_round(
    mn_study *study, uint32_t round, mn_round_row *ret_row, bool *ret_found, mn_error *err)
{
    mn_round_row row = {0};
    mn__query query = mn__query_read(study, GET_ROUND);
    mn__bind_unsigned(&query, round);
    bool found = mn__query_step(&query);
    if (found) {
        row.round = mn__take_u32(&query);
        mn__take_id(&query, row.base_id);
        mn__take_id(&query, row.best_id);
        row.best_accuracy = mn__take_real(&query);
        row.best_score = mn__take_real(&query);
        row.generated = mn__take_u32(&query);
        row.over_bound = mn__take_u32(&query);
        row.duplicate = mn__take_u32(&query);
        row.ranked = mn__take_u32(&query);
        row.trained = mn__take_u32(&query);
        row.failed = mn__take_u32(&query);
    }
    mn_status status = mn__query_end(&query, err);
    if (status != MN_OK)
        return status;
    if (found)
        *ret_row = row;
    *ret_found = found;
    return MN_OK;
}

/* ---- best ------------------------------------------------------------------------------------ */

static const char PUT_BEST[] =
    "INSERT INTO best (bound_bytes, genotype_id, seed, rung, val_accuracy, test_accuracy)"
    " VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bound_bytes) DO UPDATE SET"
    "  genotype_id = excluded.genotype_id, seed = excluded.seed, rung = excluded.rung,"
    "  val_accuracy = excluded.val_accuracy, test_accuracy = excluded.test_accuracy,"
    "  created_at = excluded.created_at";

static const char GET_BEST[] =
    "SELECT bound_bytes, genotype_id, seed, rung, val_accuracy, test_accuracy"
    " FROM best WHERE bound_bytes = ?";

mn_status mn_study_put_best(mn_study *study, const mn_best_row *row, mn_error *err)
{
    mn__query query = mn__query_write(study, PUT_BEST);
    mn__bind_unsigned(&query, row->bound_bytes);
    mn__bind_id(&query, row->run.genotype_id);
    mn__bind_unsigned(&query, row->run.seed);
    mn__bind_unsigned(&query, row->run.rung);
    mn__bind_real(&query, row->val_accuracy);
    mn__bind_real(&query, row->test_accuracy);
    return mn__query_finish(&query, err);
}

mn_status mn_study_get_best(
    mn_study *study, uint64_t bound_bytes, mn_best_row *ret_row, bool *ret_found, mn_error *err)
{
    mn_best_row row = {0};
    mn__query query = mn__query_read(study, GET_BEST);
    mn__bind_unsigned(&query, bound_bytes);
    bool found = mn__query_step(&query);
    if (found) {
        row.bound_bytes = mn__take_unsigned(&query);
        mn__take_id(&query, row.run.genotype_id);
        row.run.seed = mn__take_unsigned(&query);
        row.run.rung = mn__take_u32(&query);
        row.val_accuracy = mn__take_real(&query);
        row.test_accuracy = mn__take_real(&query);
    }
    mn_status status = mn__query_end(&query, err);
    if (status != MN_OK)
        return status;
    if (found)
        *ret_row = row;
    *ret_found = found;
    return MN_OK;
}
