/*
 * Opening, closing and the transactions of a study.
 *
 * Folder, lock, connection, then one transaction that makes the tables if there are none, checks
 * the file, loads the setup and compares it: a process killed at any point leaves a folder that
 * opens the next time.
 *
 * Why a rollback journal and not WAL: WAL keeps its index in shared memory, which network file
 * systems do not share, and a study may lie on one. One writer that commits a few rows a second
 * has nothing to gain from WAL either.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "study/query.h"
#include "study/schema.h"
#include "study/setup.h"

/* synchronous = EXTRA is FULL and a sync of the folder after the journal is unlinked: without it a
 * power cut just after a commit may bring the journal, and so the former state, back. Without
 * spilling of the cache a transaction keeps readers out only while it commits. */
static const char CONNECTION[] = "PRAGMA synchronous = EXTRA;"
                                 "PRAGMA foreign_keys = ON;"
                                 "PRAGMA cache_spill = OFF;"
                                 "PRAGMA cell_size_check = ON;"
                                 "PRAGMA trusted_schema = OFF;";

/* ---- opening --------------------------------------------------------------------------------- */

static mn_status make_study(const char *folder, mn_study **ret_study, mn_error *err)
{
    if (folder == NULL || folder[0] == '\0')
        return mn_error_set(err, MN_ERR_ARG, "study: the folder has no name");
    mn_study *study = mn_calloc(1, sizeof *study);
    if (study == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", folder);
    study->lock_fd = -1;
    study->folder = strdup(folder);
    study->db_path = mn_path_join(folder, "study.db");
    if (study->folder == NULL || study->db_path == NULL) {
        mn_study_close(&study);
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", folder);
    }
    *ret_study = study;
    return MN_OK;
}

/* flock() is dropped by the kernel when the process dies, so no stale lock is ever in the way. The
 * file itself stays: removing it would let two processes hold locks on two files of that name. */
static mn_status take_lock(mn_study *study, mn_error *err)
{
    char *path = mn_path_join(study->folder, "lock");
    if (path == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", study->folder);
    mn_status status = MN_OK;
    study->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    bool locked = study->lock_fd >= 0 && flock(study->lock_fd, LOCK_EX | LOCK_NB) == 0;
    if (!locked && study->lock_fd >= 0 && errno == EWOULDBLOCK)
        status =
            mn_error_set(err, MN_ERR_LIMIT, "study %s: another process is using it", study->folder);
    else if (!locked)
        status = mn_error_set(err, MN_ERR_IO, "%s: %s", path, strerror(errno));
    free(path);
    return status;
}

static mn_status connect_database(mn_study *study, bool may_create, mn_error *err)
{
    /* SQLite may be built to read "file:..." as a URI; a leading "./" makes every name a path. */
    char *path =
        study->db_path[0] == '/' ? strdup(study->db_path) : mn_path_join(".", study->db_path);
    if (path == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", study->folder);
    /* Readers too: after a kill the first to come must be able to roll the journal back. SQLite
     * itself falls back to reading where the file may not be written. */
    int flags = SQLITE_OPEN_READWRITE | (may_create ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &study->db, flags, NULL);
    free(path);
    if (rc == SQLITE_OK)
        rc = sqlite3_extended_result_codes(study->db, 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(study->db, MN__BUSY_SECONDS * 1000);
    if (rc != SQLITE_OK)
        return mn__sqlite_error(study, rc, err);
    return mn__execute(study, CONNECTION, err);
}

/* Trained weights beside an empty database mean that rows were lost: starting anew would write
 * over the weights. */
static mn_status refuse_lost_rows(const mn_study *study, mn_error *err)
{
    char *path = mn_path_join(study->folder, "weights");
    if (path == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", study->folder);
    mn_status status = MN_OK;
    DIR *weights = opendir(path);
    struct dirent *entry = weights != NULL ? readdir(weights) : NULL;
    while (entry != NULL && entry->d_name[0] == '.')
        entry = readdir(weights);
    if (entry != NULL)
        status = mn_error_set(err,
                              MN_ERR_DB,
                              "%s: empty, yet %s holds weights: the database was lost",
                              study->db_path,
                              path);
    if (weights != NULL)
        closedir(weights);
    free(path);
    return status;
}

static mn_status start_new(mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    if (setup == NULL)
        return mn_error_set(
            err, MN_ERR_IO, "study %s: holds no study: study.db has no tables", study->folder);
    mn_status status = refuse_lost_rows(study, err);
    if (status == MN_OK)
        status = mn__schema_create(study, err);
    if (status == MN_OK)
        status = mn__setup_store(study, setup, err);
    return status;
}

/* One transaction: see the head of the file. */
static mn_status recall(mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    bool is_new = false;
    mn_status status = mn__execute(study, setup != NULL ? "BEGIN IMMEDIATE" : "BEGIN", err);
    if (status == MN_OK)
        status = mn__schema_inspect(study, &is_new, err);
    if (status == MN_OK && is_new)
        status = start_new(study, setup, err);
    if (status == MN_OK)
        status = mn__setup_load(study, err);
    if (status == MN_OK && setup != NULL)
        status = mn__setup_agree(study, setup, err);
    if (status == MN_OK)
        status = mn__execute(study, "COMMIT", err);
    return status; /* closing rolls back what was not committed */
}

static mn_status make_weights_folder(const mn_study *study, mn_error *err)
{
    char *path = mn_path_join(study->folder, "weights");
    if (path == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "study %s: out of memory", study->folder);
    mn_status status = mn_folder_make(path, err);
    free(path);
    return status;
}

static mn_status open_to_write(mn_study *study, const mn_study_setup *setup, mn_error *err)
{
    mn_status status = mn__setup_check(setup, err);
    if (status == MN_OK)
        status = mn_folder_make(study->folder, err);
    if (status == MN_OK)
        status = take_lock(study, err);
    if (status == MN_OK)
        status = connect_database(study, true, err);
    if (status == MN_OK)
        status = recall(study, setup, err);
    if (status == MN_OK) /* a user may have turned it to WAL */
        status = mn__execute(study, "PRAGMA journal_mode = DELETE", err);
    if (status == MN_OK)
        status = make_weights_folder(study, err);
    return status;
}

static mn_status open_to_read(mn_study *study, mn_error *err)
{
    struct stat info;
    if (stat(study->db_path, &info) != 0)
        return mn_error_set(err,
                            MN_ERR_IO,
                            "study %s: holds no study: study.db: %s",
                            study->folder,
                            strerror(errno));
    mn_status status = connect_database(study, false, err);
    if (status == MN_OK)
        status = recall(study, NULL, err);
    if (status == MN_OK)
        status = mn__execute(study, "PRAGMA query_only = ON", err);
    return status;
}

mn_status
mn_study_open(const char *folder, const mn_study_setup *setup, mn_study **ret_study, mn_error *err)
{
    mn_study *study = NULL;
    mn_status status = make_study(folder, &study, err);
    if (status != MN_OK)
        return status;
    status = setup != NULL ? open_to_write(study, setup, err) : open_to_read(study, err);
    if (status == MN_OK) {
        *ret_study = study;
        study = NULL;
    }
    mn_study_close(&study);
    return status;
}

void mn_study_close(mn_study **study)
{
    if (study == NULL || *study == NULL)
        return;
    mn_study *old = *study;
    *study = NULL;
    mn__statements_finalize(old);
    sqlite3_close(old->db); /* rolls an open transaction back */
    if (old->lock_fd >= 0)
        close(old->lock_fd); /* after the database: the next process finds it at rest */
    mn__setup_done(old);
    for (uint32_t i = 0; i < MN__HELD_MAX; i++)
        free(old->held[i]);
    free(old->db_path);
    free(old->folder);
    free(old);
}

/* ---- what it is about ------------------------------------------------------------------------ */

const char *mn_study_folder(const mn_study *study)
{
    return study->folder;
}

const char *mn_study_options(const mn_study *study)
{
    return study->options_json;
}

const char *mn_study_data_hash(const mn_study *study)
{
    return study->data_hash;
}

uint64_t mn_study_seed(const mn_study *study)
{
    return study->seed;
}

uint32_t mn_study_bound_count(const mn_study *study)
{
    return study->bound_count;
}

uint64_t mn_study_bound(const mn_study *study, uint32_t index)
{
    return index < study->bound_count ? study->bounds_bytes[index] : 0;
}

int64_t mn_study_active_ms(const mn_study *study)
{
    return study->active_ms;
}

mn_status mn_study_set_active_ms(mn_study *study, int64_t active_ms, mn_error *err)
{
    mn__query query = mn__query_write(study, "UPDATE studies SET active_ms = ?");
    mn__bind_signed(&query, active_ms);
    mn_status status = mn__query_finish(&query, err);
    if (status == MN_OK)
        study->active_ms = active_ms;
    return status;
}

/* ---- transactions ---------------------------------------------------------------------------- */

mn_status mn_study_begin(mn_study *study, mn_error *err)
{
    if (study->in_transaction)
        return mn_error_set(
            err, MN_ERR_ARG, "study %s: a transaction is open already", study->folder);
    mn__query query = mn__query_write(study, "BEGIN IMMEDIATE");
    mn_status status = mn__query_finish(&query, err);
    if (status == MN_OK) {
        study->in_transaction = true;
        study->active_ms_at_begin = study->active_ms;
    }
    return status;
}

mn_status mn_study_commit(mn_study *study, mn_error *err)
{
    if (!study->in_transaction)
        return mn_error_set(err, MN_ERR_ARG, "study %s: no transaction is open", study->folder);
    mn__query query = mn__query_write(study, "COMMIT");
    mn_status status = mn__query_finish(&query, err);
    if (status == MN_OK)
        study->in_transaction = false;
    else
        mn_study_rollback(study); /* all or nothing, also when COMMIT left it open */
    return status;
}

void mn_study_rollback(mn_study *study)
{
    if (study == NULL || !study->in_transaction)
        return;
    study->in_transaction = false;
    study->active_ms = study->active_ms_at_begin;
    if (!sqlite3_get_autocommit(study->db)) /* else SQLite has done it already, on an error */
        mn__execute(study, "ROLLBACK", NULL);
}
