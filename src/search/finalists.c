/*
 * Who becomes a finalist. See finalists.h.
 */
#include "search/finalists.h"

#include "search/equal_time.h"
#include "search/measure.h"
#include "search/options.h"
#include "search/rungs.h"

/* Of so many most accurate networks those become finalists that do best in equal time; of more
 * where more are wanted. */
enum { considered = 16 };

typedef struct finalist {
    mn_run_key run;
    double errors; /* a share, at equal time */
} finalist;

/* Fills in the errors of `one`, beside a network of needs *beside; no effort there takes its own.
 */
static mn_status judge(mn__session *session, finalist *one, mn__needs *beside, mn_error *err)
{
    mn_run_row row;
    mn_genotype genotype;
    mn__needs needs;
    bool found = false;
    mn_status status = mn_study_get_run(session->study, &one->run, &row, &found, err);
    double errors = found ? 1.0 - row.val_accuracy / 100.0 : 1.0;
    if (status == MN_OK)
        status = mn__session_genotype(session, one->run.genotype_id, &genotype, err);
    if (status == MN_OK)
        status = mn__measure(&genotype, session->opts->precision, &needs, err);
    if (status != MN_OK)
        return status;
    if (beside->effort <= 0.0)
        *beside = needs;
    one->errors = mn__equal_time_errors(session, errors, &needs, beside);
    return MN_OK;
}

mn_status
mn__finalists_choose(mn__session *session, mn_run_key *ret_keys, uint32_t *ret_count, mn_error *err)
{
    mn_run_key top[MN__MOST_FINALISTS];
    finalist sorted[MN__MOST_FINALISTS];
    uint32_t wanted = session->opts->finalists;
    uint32_t count = 0;
    mn__needs beside = {0};
    mn_status status =
        mn__rungs_top(session, wanted < considered ? considered : wanted, top, &count, err);
    for (uint32_t i = 0; i < count && status == MN_OK; i++) {
        finalist one = {.run = top[i]};
        uint32_t place = i;
        status = judge(session, &one, &beside, err);
        for (; place > 0 && sorted[place - 1].errors > one.errors; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = one;
    }
    if (status != MN_OK)
        return status;
    *ret_count = count < wanted ? count : wanted;
    for (uint32_t i = 0; i < *ret_count; i++)
        ret_keys[i] = sorted[i].run;
    return MN_OK;
}
