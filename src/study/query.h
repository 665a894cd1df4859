/*
 * One SQL statement from text to result, short to use:
 *
 *     mn__query query = mn__query_write(study, SQL);
 *     mn__bind_text(&query, row->json);          // parameters in the order of the SQL
 *     return mn__query_finish(&query, err);
 *
 * Errors stick in the query: after the first one the other calls do nothing, and the end reports
 * it. SQLite's codes are translated to mn_status here and nowhere else.
 */
#ifndef MN_STUDY_QUERY_H
#define MN_STUDY_QUERY_H

#include "study/study_private.h"

/* How long a lock is waited for. Only this floor's own readers and writers compete, and each holds
 * the file for one small transaction or one structure check. */
#define MN__BUSY_SECONDS 30

typedef struct mn__query {
    mn_study *study;
    sqlite3_stmt *statement; /* owned by the study's cache */
    int rc;                  /* SQLite's code of the first error, SQLITE_OK while there is none */
    int next_parameter;      /* from 1, as SQLite counts */
    int next_column;         /* from 0 */
} mn__query;

/* `sql` must live as long as the study (a constant). Every query that was begun must be ended. */
mn__query mn__query_read(mn_study *study, const char *sql);
/* As mn__query_read(); fails where the study is open for reading only, or where the transaction
 * that the caller believes in has been given up. */
mn__query mn__query_write(mn_study *study, const char *sql);

void mn__bind_text(mn__query *query, const char *text);
void mn__bind_id(mn__query *query, const char id[MN_STUDY_ID_BYTES]);
void mn__bind_signed(mn__query *query, int64_t value);
/* The 64 bits as they are: values from 2^63 on are negative in the database. */
void mn__bind_unsigned(mn__query *query, uint64_t value);
/* NaN becomes NULL. */
void mn__bind_real(mn__query *query, double value);

/* True when there is a (further) row; the columns are then taken in their order. */
bool mn__query_step(mn__query *query);
int64_t mn__take_signed(mn__query *query);
uint64_t mn__take_unsigned(mn__query *query);
/* A value outside uint32_t marks the database as damaged. */
uint32_t mn__take_u32(mn__query *query);
/* NULL becomes NaN. */
double mn__take_real(mn__query *query);
void mn__take_id(mn__query *query, char ret_id[MN_STUDY_ID_BYTES]);
/* Fresh memory that the caller frees; NULL when the query has failed. */
char *mn__take_text(mn__query *query);
/* A copy that the study keeps until the slot is filled again; NULL when the query has failed. */
const char *mn__take_held(mn__query *query, uint32_t slot);

/* Gives the statement back to the cache and reports the first error. */
mn_status mn__query_end(mn__query *query, mn_error *err);
/* Steps through the rows, if any, and ends: for statements without results. */
mn_status mn__query_finish(mn__query *query, mn_error *err);

/* Runs several statements without parameters. */
mn_status mn__execute(mn_study *study, const char *sql, mn_error *err);

/* Fills `err` for a code of SQLite and returns its status; the message opens with the path. */
mn_status mn__sqlite_error(const mn_study *study, int rc, mn_error *err);

void mn__statements_finalize(mn_study *study);

#endif
