/*
 * What status and report read: totals, and the accuracy-memory front.
 */
#include <stdlib.h>

#include "base/size.h"
#include "study/query.h"

/* Networks, not their trainings, so that the numbers add up: of what was generated each was over
 * the bound, a duplicate, left out by rank, trained, failed, or waits for its training.
 * From the rows themselves where there are rows, so that a round under way is counted too; only of
 * duplicates nothing is kept but the number, known when their round is decided. */
static const char COUNT[] =
    "SELECT (SELECT count(*) FROM rounds),"
    "       (SELECT ifnull(sum(duplicate), 0) FROM rounds)"
    "       + (SELECT ifnull(sum(json_extract(detail_json, '$.duplicate')), 0) FROM events"
    "          WHERE kind = 'search-ended'),"
    "       (SELECT count(*) FROM genotypes WHERE state = 'over_bound'),"
    "       (SELECT count(*) FROM genotypes WHERE state = 'ranked'),"
    "       (SELECT count(*) FROM genotypes WHERE state = 'chosen'),"
    "       (SELECT count(DISTINCT genotype_id) FROM runs WHERE NOT failed),"
    "       (SELECT count(DISTINCT genotype_id) FROM runs AS r WHERE failed"
    "        AND NOT EXISTS (SELECT 1 FROM runs AS o WHERE NOT o.failed"
    "                        AND o.genotype_id = r.genotype_id))";

/* In ascending order of bytes as unsigned numbers (those from 2^63 on are stored negative), the
 * most accurate first among equals: a row is on the front when it beats all rows before it. */
static const char CANDIDATES[] = "SELECT g.id, max(r.val_accuracy) AS accuracy, g.total_bytes"
                                 " FROM genotypes AS g JOIN runs AS r ON r.genotype_id = g.id"
                                 " WHERE NOT r.failed GROUP BY g.id"
                                 " ORDER BY g.total_bytes < 0, g.total_bytes, accuracy DESC, g.id";

mn_status mn_study_count(mn_study *study, mn_study_counts *ret_counts, mn_error *err)
{
    mn_study_counts counts = {0};
    mn__query query = mn__query_read(study, COUNT);
    if (mn__query_step(&query)) {
        counts.rounds = mn__take_u32(&query);
        counts.duplicate = mn__take_unsigned(&query);
        counts.over_bound = mn__take_unsigned(&query);
        counts.ranked = mn__take_unsigned(&query);
        uint64_t chosen = mn__take_unsigned(&query);
        counts.generated = counts.over_bound + counts.duplicate + counts.ranked + chosen;
        counts.trained = mn__take_unsigned(&query);
        counts.failed = mn__take_unsigned(&query);
        counts.waiting = chosen - counts.trained - counts.failed;
    }
    mn_status status = mn__query_end(&query, err);
    if (status == MN_OK)
        *ret_counts = counts;
    return status;
}

typedef struct front_rows {
    mn_front_row *rows;
    uint32_t count;
    uint32_t capacity;
} front_rows;

static bool push(front_rows *front, const mn_front_row *row)
{
    if (front->count == front->capacity) {
        uint32_t capacity = front->capacity + 64;
        size_t bytes;
        if (capacity < front->capacity || !mn_size_mul(capacity, sizeof *row, &bytes))
            return false;
        mn_front_row *rows = realloc(front->rows, bytes);
        if (rows == NULL)
            return false;
        front->rows = rows;
        front->capacity = capacity;
    }
    front->rows[front->count++] = *row;
    return true;
}

mn_status
mn_study_front(mn_study *study, mn_front_row **ret_rows, uint32_t *ret_count, mn_error *err)
{
    front_rows front = {0};
    mn__query query = mn__query_read(study, CANDIDATES);
    while (mn__query_step(&query)) {
        mn_front_row row;
        mn__take_id(&query, row.id);
        row.val_accuracy = mn__take_real(&query);
        row.total_bytes = mn__take_unsigned(&query);
        bool beats =
            front.count == 0 || row.val_accuracy > front.rows[front.count - 1].val_accuracy;
        if (query.rc == SQLITE_OK && beats && !push(&front, &row))
            query.rc = SQLITE_NOMEM;
    }
    mn_status status = mn__query_end(&query, err);
    if (status == MN_OK) {
        *ret_rows = front.rows; /* NULL when there is none: free() takes it */
        *ret_count = front.count;
        front.rows = NULL;
    }
    free(front.rows);
    return status;
}
