/*
 * The tables of study.db and how a study's database is told from any other.
 */
#ifndef MN_STUDY_SCHEMA_H
#define MN_STUDY_SCHEMA_H

#include "study/study_private.h"

/* "mnst" in the database header (bytes 68 to 71), so that file(1) and we know the file as ours. */
#define MN__APPLICATION_ID 0x6d6e7374

/* Inside a transaction. *ret_is_new: the database has no table at all and no owner, as after a
 * creation that was killed. MN_ERR_DB when it is foreign, of another format or damaged. */
mn_status mn__schema_inspect(mn_study *study, bool *ret_is_new, mn_error *err);

/* Inside a transaction, on a new database: makes all tables and marks the file as ours. */
mn_status mn__schema_create(mn_study *study, mn_error *err);

#endif
