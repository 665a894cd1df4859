/*
 * Queries: the cache of prepared statements, binding, columns, and the translation of SQLite's
 * codes. Invariant: between two calls of the public interface no statement is left unfinished, so
 * no lock on the file outlives a call (a transaction of the caller apart).
 */
#include "study/query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* ---- errors ---------------------------------------------------------------------------------- */

static const char *detail(const mn_study *study, int rc)
{
    if (study->db != NULL && sqlite3_extended_errcode(study->db) == rc)
        return sqlite3_errmsg(study->db);
    return sqlite3_errstr(rc);
}

/* Trouble with the file, with the system's reason where SQLite still knows it. A quota or a limit
 * on file sizes comes as a failed write, not as a full disk. */
static mn_status file_error(const mn_study *study, int rc, mn_error *err)
{
    const char *what = "cannot be read or written";
    const char *reason = detail(study, rc);
    int number = study->db != NULL ? sqlite3_system_errno(study->db) : 0;
    if ((rc & 0xff) == SQLITE_CANTOPEN)
        what = "cannot be opened";
    if (rc == SQLITE_IOERR_WRITE) {
        what = "cannot be written";
        reason = "no room (disk, quota or limit on file sizes), or a failing disk";
    }
    if (number != 0)
        reason = strerror(number);
    return mn_error_set(err, MN_ERR_DB, "%s: %s: %s", study->db_path, what, reason);
}

mn_status mn__sqlite_error(const mn_study *study, int rc, mn_error *err)
{
    const char *path = study->db_path;
    if (rc == SQLITE_IOERR_NOMEM)
        rc = SQLITE_NOMEM;
    switch (rc & 0xff) { /* the low byte is the kind, the rest says more */
    case SQLITE_NOMEM:
        return mn_error_set(err, MN_ERR_NOMEM, "%s: out of memory", path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return mn_error_set(err, MN_ERR_DB, "%s: damaged database: %s", path, detail(study, rc));
    case SQLITE_FULL:
        return mn_error_set(err, MN_ERR_DB, "%s: cannot be written: the disk is full", path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return file_error(study, rc, err);
    case SQLITE_READONLY:
        return mn_error_set(
            err, MN_ERR_DB, "%s: cannot be written: it is open for reading only", path);
    case SQLITE_BUSY:
        return mn_error_set(err,
                            MN_ERR_DB,
                            "%s: another process has kept it locked for %d seconds",
                            path,
                            MN__BUSY_SECONDS);
    case SQLITE_ABORT:
        return mn_error_set(
            err, MN_ERR_DB, "%s: the transaction was given up after an earlier error", path);
    case SQLITE_CONSTRAINT:
        return mn_error_set(err, MN_ERR_ARG, "%s: row refused: %s", path, detail(study, rc));
    default:
        return mn_error_set(err, MN_ERR_DB, "%s: %s", path, detail(study, rc));
    }
}

/* ---- statements ------------------------------------------------------------------------------ */

static int find_statement(mn_study *study, const char *sql, sqlite3_stmt **ret_statement)
{
    for (uint32_t i = 0; i < study->statement_count; i++) {
        if (strcmp(study->statements[i].sql, sql) == 0) {
            *ret_statement = study->statements[i].handle;
            return SQLITE_OK;
        }
    }
    if (study->statement_count == MN__STATEMENT_MAX)
        return SQLITE_INTERNAL;
    int rc = sqlite3_prepare_v3(study->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    if (rc == SQLITE_OK)
        study->statements[study->statement_count++] = (mn__statement){sql, *ret_statement};
    return rc;
}

void mn__statements_finalize(mn_study *study)
{
    while (study->statement_count > 0)
        sqlite3_finalize(study->statements[--study->statement_count].handle);
}

static mn__query begin_query(mn_study *study, const char *sql, int rc)
{
    mn__query query = {.study = study, .rc = rc, .next_parameter = 1};
    if (query.rc == SQLITE_OK)
        query.rc = find_statement(study, sql, &query.statement);
    return query;
}

mn__query mn__query_read(mn_study *study, const char *sql)
{
    return begin_query(study, sql, SQLITE_OK);
}

mn__query mn__query_write(mn_study *study, const char *sql)
{
    int rc = SQLITE_OK;
    if (study->lock_fd < 0)
        rc = SQLITE_READONLY;
    else if (study->in_transaction && sqlite3_get_autocommit(study->db))
        rc = SQLITE_ABORT;
    return begin_query(study, sql, rc);
}

bool mn__query_step(mn__query *query)
{
    if (query->rc != SQLITE_OK)
        return false;
    int rc = sqlite3_step(query->statement);
    query->next_column = 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        query->rc = rc;
    return rc == SQLITE_ROW;
}

mn_status mn__query_end(mn__query *query, mn_error *err)
{
    mn_status status = MN_OK;
    if (query->rc != SQLITE_OK)
        status = mn__sqlite_error(query->study, query->rc, err);
    if (query->statement != NULL) {
        sqlite3_reset(query->statement); /* repeats the error of the last step */
        sqlite3_clear_bindings(query->statement);
    }
    return status;
}

mn_status mn__query_finish(mn__query *query, mn_error *err)
{
    while (mn__query_step(query))
        continue;
    return mn__query_end(query, err);
}

mn_status mn__execute(mn_study *study, const char *sql, mn_error *err)
{
    int rc = sqlite3_exec(study->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? MN_OK : mn__sqlite_error(study, rc, err);
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* Texts are bound without a copy: they belong to the caller, who is still inside the call when the
 * query ends and clears its bindings. */

void mn__bind_text(mn__query *query, const char *text)
{
    if (query->rc == SQLITE_OK)
        query->rc =
            sqlite3_bind_text(query->statement, query->next_parameter++, text, -1, SQLITE_STATIC);
}

void mn__bind_id(mn__query *query, const char id[MN_STUDY_ID_BYTES])
{
    /* An id without its NUL is bound one character too long, which the schema refuses. */
    int length = (int)strnlen(id, MN_STUDY_ID_BYTES);
    if (query->rc == SQLITE_OK)
        query->rc =
            sqlite3_bind_text(query->statement, query->next_parameter++, id, length, SQLITE_STATIC);
}

void mn__bind_signed(mn__query *query, int64_t value)
{
    if (query->rc == SQLITE_OK)
        query->rc = sqlite3_bind_int64(query->statement, query->next_parameter++, value);
}

void mn__bind_unsigned(mn__query *query, uint64_t value)
{
    mn__bind_signed(query, (int64_t)value);
}

void mn__bind_real(mn__query *query, double value)
{
    if (query->rc == SQLITE_OK && isnan(value))
        query->rc = sqlite3_bind_null(query->statement, query->next_parameter++);
    else if (query->rc == SQLITE_OK)
        query->rc = sqlite3_bind_double(query->statement, query->next_parameter++, value);
}

/* ---- columns --------------------------------------------------------------------------------- */

int64_t mn__take_signed(mn__query *query)
{
    return query->rc == SQLITE_OK ? sqlite3_column_int64(query->statement, query->next_column++)
                                  : 0;
}

uint64_t mn__take_unsigned(mn__query *query)
{
    return (uint64_t)mn__take_signed(query);
}

uint32_t mn__take_u32(mn__query *query)
{
    int64_t value = mn__take_signed(query);
    if (value >= 0 && value <= UINT32_MAX)
        return (uint32_t)value;
    query->rc = SQLITE_CORRUPT;
    return 0;
}

double mn__take_real(mn__query *query)
{
    if (query->rc != SQLITE_OK)
        return (double)NAN;
    int column = query->next_column++;
    if (sqlite3_column_type(query->statement, column) == SQLITE_NULL)
        return (double)NAN;
    return sqlite3_column_double(query->statement, column);
}

/* Borrowed until the next step. No column of text may be NULL, so NULL means no memory, or a
 * database that somebody has edited. */
static const char *borrow_text(mn__query *query)
{
    if (query->rc != SQLITE_OK)
        return NULL;
    int column = query->next_column++;
    bool is_null = sqlite3_column_type(query->statement, column) == SQLITE_NULL;
    const void *text = sqlite3_column_text(query->statement, column);
    if (text == NULL)
        query->rc = is_null ? SQLITE_CORRUPT : SQLITE_NOMEM;
    return text;
}

void mn__take_id(mn__query *query, char ret_id[MN_STUDY_ID_BYTES])
{
    const char *text = borrow_text(query);
    int length = snprintf(ret_id, MN_STUDY_ID_BYTES, "%s", text != NULL ? text : "");
    if (length >= MN_STUDY_ID_BYTES)
        query->rc = SQLITE_CORRUPT;
}

char *mn__take_text(mn__query *query)
{
    const char *text = borrow_text(query);
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL)
        query->rc = SQLITE_NOMEM;
    return copy;
}

const char *mn__take_held(mn__query *query, uint32_t slot)
{
    char **held = &query->study->held[slot];
    free(*held);
    *held = mn__take_text(query);
    return *held;
}
