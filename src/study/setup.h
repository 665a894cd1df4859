/*
 * What a study is about: stored when it is made, compared whenever it is opened again.
 */
#ifndef MN_STUDY_SETUP_H
#define MN_STUDY_SETUP_H

#include "study/study_private.h"

/* MN_ERR_ARG or MN_ERR_FORMAT when the caller's setup makes no sense; no study is needed. */
mn_status mn__setup_check(const mn_study_setup *setup, mn_error *err);

/* Writes the studies row and the bounds; inside the transaction that made the tables. */
mn_status mn__setup_store(mn_study *study, const mn_study_setup *setup, mn_error *err);

/* Fills the study's fields from the database. */
mn_status mn__setup_load(mn_study *study, mn_error *err);

/* MN_ERR_MISMATCH naming the first of seed, bounds, data set and options that differs. */
mn_status mn__setup_agree(const mn_study *study, const mn_study_setup *setup, mn_error *err);

/* Frees what mn__setup_load() filled. */
void mn__setup_done(mn_study *study);

#endif
