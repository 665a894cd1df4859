/*
 * Another base. See rebase.h.
 */
#include "search/rebase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "search/rungs.h"

static const char base_event[] = "base";

/* The network that the study remembers for the round. */
static mn_status remembered(mn__session *session,
                            uint32_t round,
                            char ret_id[MN_STUDY_ID_BYTES],
                            bool *ret_found,
                            mn_error *err)
{
    char *detail = NULL;
    json_t *object = NULL;
    const char *id = NULL;
    mn_status status = mn_study_get_event(session->study, base_event, round, &detail, err);
    *ret_found = detail != NULL;
    if (status != MN_OK || detail == NULL)
        return status;
    status = mn_json_parse(base_event, detail, strlen(detail), 1 << 20, &object, err);
    if (status == MN_OK)
        status = mn_json_get_string(object, base_event, "genotype", &id, err);
    if (status == MN_OK && strlen(id) != MN_STUDY_ID_BYTES - 1)
        status = mn_error_set(err, MN_ERR_DB, "%s: '%.40s' is no id", base_event, id);
    if (status == MN_OK)
        memcpy(ret_id, id, MN_STUDY_ID_BYTES);
    json_decref(object);
    free(detail);
    return status;
}

/* The best that the study has for the goal's bound. */
static mn_status
best(mn__session *session, char ret_id[MN_STUDY_ID_BYTES], bool *ret_found, mn_error *err)
{
    mn_run_key top;
    uint32_t count = 0;
    mn_status status = mn__rungs_top(session, 1, &top, &count, err);
    *ret_found = status == MN_OK && count > 0;
    if (*ret_found)
        memcpy(ret_id, top.genotype_id, MN_STUDY_ID_BYTES);
    return status;
}

mn_status mn__rebase_find(
    mn__session *session, uint32_t round, mn__base *ret_base, bool *ret_found, mn_error *err)
{
    char id[MN_STUDY_ID_BYTES];
    const mn__base *former = &mn__session_goal(session)->base;
    mn__base base = {.exists = true};
    mn_status status = remembered(session, round, id, ret_found, err);
    if (status == MN_OK && !*ret_found)
        status = best(session, id, ret_found, err);
    if (status != MN_OK || !*ret_found)
        return status;
    *ret_found = !former->exists || strcmp(id, former->run.genotype_id) != 0;
    if (!*ret_found)
        return MN_OK;
    status = mn__session_genotype(session, id, &base.genotype, err);
    if (status == MN_OK)
        status = mn__rungs_last_run(session, id, &base.run, err);
    if (status == MN_OK)
        *ret_base = base;
    return status;
}

mn_status mn__rebase_note(mn__session *session, uint32_t round, const mn__base *base, mn_error *err)
{
    char detail[64];
    snprintf(detail, sizeof detail, "{\"genotype\":\"%s\"}", base->run.genotype_id);
    return mn_study_put_event(session->study, base_event, round, detail, err);
}
