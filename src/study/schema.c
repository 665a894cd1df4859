/*
 * The schema: the one text of SQL that makes a study, its format version and its checks.
 *
 * Invariant: tables and marks are made in the transaction that also writes the studies row, so a
 * database has all of them or none. A change of meaning raises MN_STUDY_FORMAT (stored in
 * `PRAGMA user_version`); docs/study.md tells the columns.
 *
 * Tables are WITHOUT ROWID: rows lie in the order of their keys, however many workers finished them
 * in whatever order, so two studies can be compared by their dumps (times left out).
 */
#include "study/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "study/query.h"

static const char TABLES[] =
    "CREATE TABLE studies ("
    "  id           INTEGER PRIMARY KEY CHECK (id = 1),"
    "  seed         INTEGER NOT NULL,"
    "  data_hash    TEXT NOT NULL,"
    "  options_json TEXT NOT NULL,"
    "  active_ms    INTEGER NOT NULL DEFAULT 0 CONSTRAINT time_is_not_negative"
    "               CHECK (active_ms >= 0),"
    "  created_at   TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"
    ") STRICT;"
    "CREATE TABLE bounds ("
    "  position INTEGER PRIMARY KEY,"
    "  bytes    INTEGER NOT NULL UNIQUE"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE genotypes ("
    "  id            TEXT PRIMARY KEY CONSTRAINT id_has_1_to_16_characters"
    "                CHECK (length(id) BETWEEN 1 AND 16),"
    "  parent_id     TEXT NOT NULL CONSTRAINT parent_id_has_at_most_16_characters"
    "                CHECK (length(parent_id) <= 16),"
    "  round         INTEGER NOT NULL,"
    "  state         TEXT NOT NULL CHECK (state IN ('over_bound', 'ranked', 'chosen')),"
    "  move          TEXT NOT NULL,"
    "  map_json      TEXT NOT NULL,"
    "  rank_score    REAL,"
    "  weights_bytes INTEGER NOT NULL,"
    "  arena_bytes   INTEGER NOT NULL,"
    "  total_bytes   INTEGER NOT NULL,"
    "  macs          INTEGER NOT NULL,"
    "  json          TEXT NOT NULL,"
    "  created_at    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE runs ("
    "  genotype_id  TEXT NOT NULL REFERENCES genotypes (id),"
    "  seed         INTEGER NOT NULL,"
    "  rung         INTEGER NOT NULL,"
    "  failed       INTEGER NOT NULL CHECK (failed IN (0, 1)),"
    "  reason       TEXT NOT NULL,"
    "  val_accuracy REAL,"
    "  val_loss     REAL,"
    "  curve_json   TEXT NOT NULL,"
    "  weights      TEXT NOT NULL,"
    "  train_ms     INTEGER NOT NULL,"
    "  created_at   TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    "  PRIMARY KEY (genotype_id, seed, rung),"
    "  CONSTRAINT only_failed_runs_have_no_accuracy CHECK (failed = (val_accuracy IS NULL))"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE rungs ("
    "  rung         INTEGER PRIMARY KEY,"
    "  options_json TEXT NOT NULL,"
    "  created_at   TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE rounds ("
    "  round         INTEGER PRIMARY KEY,"
    "  base_id       TEXT NOT NULL CHECK (length(base_id) <= 16),"
    "  best_id       TEXT NOT NULL CHECK (length(best_id) <= 16),"
    "  best_accuracy REAL,"
    "  best_score    REAL,"
    "  generated     INTEGER NOT NULL,"
    "  over_bound    INTEGER NOT NULL,"
    "  duplicate     INTEGER NOT NULL,"
    "  ranked        INTEGER NOT NULL,"
    "  trained       INTEGER NOT NULL,"
    "  failed        INTEGER NOT NULL,"
    "  created_at    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE best ("
    "  bound_bytes   INTEGER PRIMARY KEY REFERENCES bounds (bytes),"
    "  genotype_id   TEXT NOT NULL,"
    "  seed          INTEGER NOT NULL,"
    "  rung          INTEGER NOT NULL,"
    "  val_accuracy  REAL NOT NULL,"
    "  test_accuracy REAL,"
    "  created_at    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    "  FOREIGN KEY (genotype_id, seed, rung) REFERENCES runs (genotype_id, seed, rung)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE events ("
    "  kind        TEXT NOT NULL CHECK (kind <> ''),"
    "  number      INTEGER NOT NULL,"
    "  detail_json TEXT NOT NULL,"
    "  created_at  TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    "  PRIMARY KEY (kind, number)"
    ") STRICT, WITHOUT ROWID;";

mn_status mn__schema_create(mn_study *study, mn_error *err)
{
    char marks[96];
    snprintf(marks,
             sizeof marks,
             "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             MN__APPLICATION_ID,
             MN_STUDY_FORMAT);
    mn_status status = mn__execute(study, TABLES, err);
    return status == MN_OK ? mn__execute(study, marks, err) : status;
}

static mn_status read_number(mn_study *study, const char *sql, int64_t *ret_number, mn_error *err)
{
    mn__query query = mn__query_read(study, sql);
    if (mn__query_step(&query))
        *ret_number = mn__take_signed(&query);
    return mn__query_end(&query, err);
}

/* SQLite writes whole pages, but reads a last page that was cut short as if it ended in zeros. The
 * transaction around this keeps writers off, so the size stands still. */
static mn_status check_size(mn_study *study, mn_error *err)
{
    int64_t page_bytes = 0;
    struct stat info;
    mn_status status = read_number(study, "PRAGMA page_size", &page_bytes, err);
    if (status != MN_OK)
        return status;
    if (stat(study->db_path, &info) != 0)
        return mn_error_set(err, MN_ERR_DB, "%s: %s", study->db_path, strerror(errno));
    if (page_bytes < 1 || info.st_size % page_bytes != 0)
        return mn_error_set(err,
                            MN_ERR_DB,
                            "%s: damaged database: %jd bytes, expected a multiple of %jd",
                            study->db_path,
                            (intmax_t)info.st_size,
                            (intmax_t)page_bytes);
    return MN_OK;
}

/* SQLite's own look at the structure of the file; reads all of it, some MB for a long search. */
static mn_status check_structure(mn_study *study, mn_error *err)
{
    char *found = NULL;
    mn__query query = mn__query_read(study, "PRAGMA quick_check(1)");
    if (mn__query_step(&query))
        found = mn__take_text(&query);
    mn_status status = mn__query_end(&query, err);
    if (status == MN_OK && (found == NULL || strcmp(found, "ok") != 0))
        status = mn_error_set(err,
                              MN_ERR_DB,
                              "%s: damaged database: %.200s",
                              study->db_path,
                              found != NULL ? found : "no answer to the check");
    free(found);
    return status;
}

mn_status mn__schema_inspect(mn_study *study, bool *ret_is_new, mn_error *err)
{
    int64_t owner = 0;
    int64_t format = 0;
    int64_t tables = 0;
    mn_status status = read_number(study, "PRAGMA application_id", &owner, err);
    if (status == MN_OK)
        status = read_number(study, "PRAGMA user_version", &format, err);
    if (status == MN_OK)
        status = read_number(study, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (status != MN_OK)
        return status;

    *ret_is_new = owner == 0 && format == 0 && tables == 0;
    if (*ret_is_new)
        return MN_OK;
    if (owner != MN__APPLICATION_ID)
        return mn_error_set(err,
                            MN_ERR_DB,
                            "%s: not a study: application id 0x%08x, expected 0x%08x",
                            study->db_path,
                            (unsigned)owner,
                            (unsigned)MN__APPLICATION_ID);
    if (format != MN_STUDY_FORMAT)
        return mn_error_set(err,
                            MN_ERR_DB,
                            "%s: study format %lld, this program reads %d",
                            study->db_path,
                            (long long)format,
                            MN_STUDY_FORMAT);
    status = check_size(study, err);
    return status == MN_OK ? check_structure(study, err) : status;
}
