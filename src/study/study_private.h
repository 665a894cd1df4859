/*
 * The open study as the files of this floor see it.
 */
#ifndef MN_STUDY_STUDY_PRIVATE_H
#define MN_STUDY_STUDY_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memnet/study.h"

#define MN__STATEMENT_MAX 40 /* more than there are texts of SQL on this floor */
#define MN__HELD_MAX 3       /* strings of the widest row that a getter returns */

/* A prepared statement, found again by its text and finalised on close. */
typedef struct mn__statement {
    const char *sql;
    sqlite3_stmt *handle;
} mn__statement;

struct mn_study {
    char *folder;
    char *db_path; /* for messages */
    sqlite3 *db;
    int lock_fd; /* -1: opened for reading only */
    mn__statement statements[MN__STATEMENT_MAX];
    uint32_t statement_count;
    char *held[MN__HELD_MAX]; /* strings of the row that a getter returned last */

    /* A transaction that mn_study_begin() opened and nobody has ended. SQLite may have given it up
     * meanwhile (a full disk), so writers compare this with SQLite's own mind. */
    bool in_transaction;
    int64_t active_ms_at_begin;

    /* The row of `studies`, and `bounds`. */
    char *options_json;
    char *data_hash;
    uint64_t seed;
    uint64_t *bounds_bytes;
    uint32_t bound_count;
    int64_t active_ms;
};

#endif
